"""What the running platform may do on AWS is what its code calls, no less and no more."""

import re
from collections.abc import Iterator
from pathlib import Path

from findings import Finding
from plans import Plan
from trees import PROJECT

CODE = PROJECT / "ecap"
# Policy documents of the running platform's roles, which platform/compute.tf attaches.
DOCUMENTS = re.compile(r"\.aws_iam_policy_document\.(client|read_write|connect)$")

KAFKA_METADATA = {
    "kafka-cluster:Connect",
    "kafka-cluster:DescribeCluster",
    "kafka-cluster:DescribeTopic",
}
S3_FILES = {
    "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetBucketLocation", "s3:GetObject",
    "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts", "s3:PutObject",
}  # fmt: skip

# A call in the code, and the actions that AWS asks for it.
CALLS: list[tuple[str, set[str]]] = [
    (r"\bAIOKafkaProducer\(", KAFKA_METADATA | {"kafka-cluster:WriteData"}),
    (r"\benable_idempotence=(?!False)", {"kafka-cluster:WriteDataIdempotently"}),
    (r"\bAIOKafkaConsumer\(", KAFKA_METADATA | {"kafka-cluster:ReadData"}),
    (r"\badmin\.create_topics\(", KAFKA_METADATA | {"kafka-cluster:CreateTopic"}),
    (
        r"\b(alter_configs|incremental_alter_configs)\(",
        {"kafka-cluster:AlterTopicDynamicConfiguration"},
    ),
    (r"\bcreate_partitions\(", {"kafka-cluster:AlterTopic"}),
    (r"\bgroup_id=(?!None)", {"kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"}),
    (r"\btransactional_id=(?!None)", {"kafka-cluster:AlterTransactionalId"}),
    (r"\b(S3FileSystem|s3fs)\b|[\"']s3://|client\([\"']s3[\"']", S3_FILES),
    (r"\bgenerate_db_auth_token\b", {"rds-db:connect"}),
    (r"client\([\"']secretsmanager[\"']", {"secretsmanager:GetSecretValue"}),
    (r"client\([\"']kms[\"']", {"kms:Decrypt", "kms:GenerateDataKey"}),
]
# Granted before the code that needs it, with what will call it. What is called must leave.
AHEAD = {
    **dict.fromkeys(S3_FILES, "the data lake pipeline and the batch jobs"),
    "rds-db:connect": "logging in to PostgreSQL with an IAM token instead of a Vault credential",
}


def called(code: Path = CODE) -> set[str]:
    text = "\n".join(path.read_text() for path in sorted(code.rglob("*.py")))
    return {action for call, actions in CALLS if re.search(call, text) for action in actions}


def granted(plan: Plan) -> set[str]:
    return {
        action
        for statement in plan.statements()
        if DOCUMENTS.search(statement.where)
        for action in statement.actions
    }


def topics_in_code(code: Path = CODE) -> set[str]:
    text = (code / "domain" / "events" / "topics.py").read_text()
    return set(re.findall(r'^\s+Topic\("([a-z.-]+)",', text, re.M))


def topics_granted(plan: Plan) -> set[str]:
    arns = [
        resource
        for statement in plan.statements()
        if statement.where.endswith(".client") and statement.sid == "Topics"
        for resource in statement.resources
    ]
    return {arn.rsplit("/", 1)[1].removesuffix(".dlq") for arn in arns}


def faults(plan: Plan, code: Path) -> Iterator[tuple[str, str]]:
    calls, grants = called(code), granted(plan)
    has_kafka = bool(plan.resources("aws_msk_cluster", "aws_msk_serverless_cluster"))
    if not has_kafka:
        calls = {action for action in calls if not action.startswith("kafka-cluster:")}
    for action in sorted(calls - grants):
        yield action, "is called by the code and granted to nobody"
    for action in sorted(grants - calls - set(AHEAD)):
        yield action, "is granted, and nothing in the code calls it"
    for action in sorted(set(AHEAD) & calls):
        yield action, "is called now: take it out of AHEAD in assertions/usage.py"
    if has_kafka and topics_granted(plan) != topics_in_code(code):
        difference = topics_granted(plan) ^ topics_in_code(code)
        yield "topics", f"policy and ecap/domain/events/topics.py differ in {sorted(difference)}"


def check(plan: Plan, code: Path = CODE) -> list[Finding]:
    return [Finding("iam-usage", f"{plan.name}: {w}", what) for w, what in faults(plan, code)]
