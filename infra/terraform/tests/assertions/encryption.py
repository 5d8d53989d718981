"""At rest with our keys, on the wire with TLS, and no credentials that can be read."""

import json
from collections.abc import Iterator

from assertions.public import identity
from plans import Plan

# (type, path, what it must be; "given": some key, also one that is not known yet)
REQUIRED = [
    ("aws_cloudwatch_log_group", "kms_key_id", "given"),
    ("aws_db_instance", "storage_encrypted", True),
    ("aws_db_instance", "kms_key_id", "given"),
    ("aws_db_instance", "manage_master_user_password", True),
    ("aws_db_instance", "master_user_secret_kms_key_id", "given"),
    ("aws_db_instance", "performance_insights_kms_key_id", "given"),
    ("aws_db_instance", "iam_database_authentication_enabled", True),
    ("aws_ebs_encryption_by_default", "enabled", True),
    ("aws_eks_cluster", "encryption_config.provider.key_arn", "given"),
    ("aws_elasticache_replication_group", "at_rest_encryption_enabled", "true"),
    ("aws_elasticache_replication_group", "transit_encryption_enabled", True),
    ("aws_elasticache_replication_group", "transit_encryption_mode", "required"),
    ("aws_elasticache_replication_group", "kms_key_id", "given"),
    ("aws_instance", "root_block_device.encrypted", True),
    ("aws_instance", "metadata_options.http_tokens", "required"),
    ("aws_kms_key", "enable_key_rotation", True),
    ("aws_launch_template", "block_device_mappings.ebs.encrypted", "true"),
    ("aws_launch_template", "block_device_mappings.ebs.kms_key_id", "given"),
    ("aws_launch_template", "metadata_options.http_tokens", "required"),
    ("aws_launch_template", "metadata_options.http_put_response_hop_limit", 1),
    ("aws_msk_cluster", "encryption_info.encryption_at_rest_kms_key_arn", "given"),
    ("aws_msk_cluster", "encryption_info.encryption_in_transit.client_broker", "TLS"),
    ("aws_msk_cluster", "encryption_info.encryption_in_transit.in_cluster", True),
    ("aws_secretsmanager_secret", "kms_key_id", "given"),
    ("aws_sns_topic", "kms_master_key_id", "given"),
    ("aws_sqs_queue", "sqs_managed_sse_enabled", True),
]
# Arguments that would put a secret into plan and state.
READABLE = {
    "aws_db_instance": ["password"],
    "aws_elasticache_replication_group": ["auth_token"],
    "aws_secretsmanager_secret_version": ["secret_string", "secret_binary"],
}


def check(plan: Plan) -> list[tuple[str, str]]:
    return [*required(plan), *readable(plan), *buckets(plan), *database_tls(plan), *pools(plan)]


def required(plan: Plan) -> Iterator[tuple[str, str]]:
    for type_name, path, wanted in REQUIRED:
        for resource in plan.resources(type_name):
            if wanted == "given":
                if not resource.is_given(path):
                    yield resource.address, f"{path} is not set: it would not use our key"
            elif resource.at(path) != wanted:
                yield resource.address, f"{path} is {resource.at(path)!r}, must be {wanted!r}"


def readable(plan: Plan) -> Iterator[tuple[str, str]]:
    for type_name, arguments in READABLE.items():
        for resource in plan.resources(type_name):
            for argument in arguments:
                # "unknown" alone is what a provider computes for an argument that nobody set
                if resource.values.get(argument) not in (None, ""):
                    yield (
                        resource.address,
                        f"{argument} puts a secret into the state; use {argument}_wo",
                    )


def buckets(plan: Plan) -> Iterator[tuple[str, str]]:
    kind = "aws_s3_bucket_server_side_encryption_configuration"
    modules = {(identity(e)[0], e.index): e for e in plan.resources(kind)}
    named = {identity(e): e for e in plan.resources(kind)}
    policies = {identity(p): p for p in plan.resources("aws_s3_bucket_policy")}
    for bucket in plan.resources("aws_s3_bucket"):
        module, name, index = identity(bucket)
        log = index == "logs"
        rule = named.get((module, name, index)) or modules.get((module, index))
        if log:
            rule = named.get((module, "logs", None))
        algorithm = (
            rule.at("rule.apply_server_side_encryption_by_default.sse_algorithm") if rule else None
        )
        if algorithm != ("AES256" if log else "aws:kms"):
            yield bucket.address, f"is encrypted with {algorithm}, not with our key"
        if not log and rule and rule.at("rule.bucket_key_enabled") is not True:
            yield bucket.address, "has no bucket key: every object would be a KMS call"
        if identity(bucket) not in policies:
            yield bucket.address, "has no policy: it accepts requests without TLS"
    guarded = {s.where for s in plan.statements() if s.sid == "TlsOnly" and s.effect == "Deny"}
    for where, _ in plan.documents():
        document = where.split("aws_iam_policy_document.")[-1]
        if document.startswith(("bucket[", "state")) and where not in guarded:
            yield where, "does not deny requests without TLS"


def database_tls(plan: Plan) -> Iterator[tuple[str, str]]:
    for group in plan.resources("aws_db_parameter_group"):
        values = {p["name"]: p["value"] for p in group.values.get("parameter") or []}
        if values.get("rds.force_ssl") != "1":
            yield group.address, "accepts connections without TLS: rds.force_ssl is not 1"


def pools(plan: Plan) -> Iterator[tuple[str, str]]:
    """The parameter that the cluster root reads is no place for secrets."""
    for parameter in plan.resources("aws_ssm_parameter"):
        text = json.dumps(parameter.values.get("value") or "")
        if parameter.values.get("type") == "String" and "password" in text.lower():
            yield parameter.address, "holds a password in the clear"
