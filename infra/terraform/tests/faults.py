"""The faults of mutations.py: one edit each, and the check that must find it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    what: str
    path: str
    before: str
    after: str
    caught_by: str
    # static: no Terraform · platform, cluster: a plan · order: the graph · module: its tests
    stage: str = "platform"
    environment: str = "staging"
    saying: str = ""


RDS = "modules/rds/instance.tf"
FLOWS = "modules/security-groups/flows.tf"
NODES = "modules/eks/nodes.tf"
FAULTS = [
    # Arguments, without Terraform
    Fault("an argument misspelt", RDS, "storage_encrypted  ", "storage_encryptd  ", "schema", "static"),
    Fault("a required argument gone", "modules/eks/cluster.tf", "role_arn   ", "# role_arn   ", "schema", "static"),
    Fault("a block written as an argument", "modules/eks/cluster.tf", "access_config {", "access_config = {", "schema", "static"),
    Fault("a read-only attribute set", RDS, "publicly_accessible  ", 'endpoint = "x"\n  publicly_accessible  ', "schema", "static"),
    Fault("a number where a list stands", NODES, "instance_types         = each.value.instance_types", "instance_types         = 3", "schema", "static"),
    Fault("a variable without description", "modules/kms/variables.tf", "  description = \"Days between rotations of the key material.\"\n", "", "declarations", "static"),
    Fault("a variable that nothing uses", "modules/rds/monitoring.tf", "var.log_retention_days", "30", "declarations", "static"),
    Fault("an input that no module has", "modules/platform/data.tf", "multi_az            =", "multi_zone          =", "declarations", "static"),
    # Nothing public
    Fault("a public database", RDS, "publicly_accessible    = false", "publicly_accessible    = true", "nothing-public"),
    Fault("a bucket half closed", "modules/s3-data-lake/main.tf", "restrict_public_buckets = true", "restrict_public_buckets = false", "nothing-public"),
    Fault("a group open to the world", FLOWS, "  referenced_security_group_id = aws_security_group.this[each.value.from].id\n", '  cidr_ipv4 = "0.0.0.0/0"\n', "nothing-public"),
    Fault("brokers that take anybody", "modules/msk/provisioned.tf", "unauthenticated = false", "unauthenticated = true", "nothing-public"),
    Fault("a key for every account", "modules/kms/policy.tf", 'variable = "kms:CallerAccount"', 'variable = "kms:EncryptionAlgorithm"', "nothing-public"),
    # Everything encrypted
    Fault("a database in the clear", RDS, "storage_encrypted     = true", "storage_encrypted     = false", "everything-encrypted"),
    Fault("plain text to the brokers", "modules/msk/provisioned.tf", 'client_broker = "TLS"', 'client_broker = "TLS_PLAINTEXT"', "everything-encrypted"),
    Fault("a cache without TLS", "modules/cache/main.tf", "transit_encryption_enabled = true", "transit_encryption_enabled = false", "everything-encrypted"),
    Fault("logs without a key", "modules/eks/cluster.tf", "  kms_key_id        = var.kms_key_arn\n", "", "everything-encrypted"),
    Fault("a key that stays for ever", "modules/kms/main.tf", "enable_key_rotation     = true", "enable_key_rotation     = false", "everything-encrypted"),
    Fault("node credentials for pods", NODES, "http_put_response_hop_limit = 1", "http_put_response_hop_limit = 2", "everything-encrypted"),
    Fault("requests without TLS", "modules/s3-data-lake/policy.tf", 'sid       = "TlsOnly"\n    effect    = "Deny"', 'sid       = "TlsOnly"\n    effect    = "Allow"', "everything-encrypted"),
    Fault("a secret in the state", "modules/cache/token.tf", "secret_string_wo         = var.auth_token\n  secret_string_wo_version = var.auth_token_version", 'secret_string = "hunter2"', "everything-encrypted"),
    # Ports
    Fault("a database on another port", "modules/platform/data.tf", 'module.security_groups.ports["postgresql"]', "5433", "ports-agree"),
    Fault("a wrong port for Kafka", "modules/security-groups/main.tf", "kafka_iam     = 9098", "kafka_iam     = 9092", "ports-agree"),
    Fault("a range of ports", FLOWS, "to_port                      = each.value.port", "to_port                      = 65535", "ports-agree"),
    # IAM
    Fault("all of S3", "modules/s3-data-lake/access.tf", '"s3:AbortMultipartUpload"', '"s3:*"', "iam-least"),
    Fault("any role to any service", "modules/karpenter/policy.tf", 'variable = "iam:PassedToService"', 'variable = "iam:ResourceTag/x"', "iam-least"),
    Fault("an action that no code calls", "modules/msk/access.tf", '"kafka-cluster:ReadData"', '"kafka-cluster:ReadData", "kafka-cluster:DeleteTopic"', "iam-usage"),
    Fault("an action that the code lacks", "modules/msk/access.tf", '"kafka-cluster:CreateTopic", ', "", "iam-usage"),
    Fault("a topic forgotten", "modules/msk/variables_operation.tf", '"accounts", ', "", "iam-usage"),
    # Nodes
    Fault("an operator that tolerates nothing", "modules/cluster/operator.tf", "tolerations    = local.system_tolerations", "tolerations    = []", "taints-tolerated", "cluster"),
    Fault("a spot taint renamed on one side", "modules/cluster/scheduling.tf", "for taint in local.spot_taints : merge(taint, {", 'for taint in local.spot_taints : merge(taint, { key = "spot",', "taints-tolerated", "cluster"),
    Fault("the Ray head on spot", "modules/cluster/ecap.tf", "head    = { nodeSelector = local.system_selector, tolerations = local.system_tolerations }", "head    = { nodeSelector = local.spot_selector, tolerations = local.spot_tolerations }", "taints-tolerated", "cluster"),
    Fault("few spot pools", "modules/cluster/karpenter.tf", '["m6g", "m7g", "m8g", "r6g", "r7g", "r8g"]', '["m7g", "m8g"]', "taints-tolerated", "cluster"),
    Fault("spot nodes without a taint", "environments/dev/platform/main.tf", '"ecap.io/spot" = { value = "true", effect = "NO_SCHEDULE" }', "", "taints-tolerated", environment="dev"),
    # Price
    Fault("a second spot node in dev", "environments/dev/platform/main.tf", "min      = 1", "min      = 2", "price", environment="dev", saying="more than 150"),
    Fault("a gateway in dev", "environments/dev/platform/main.tf", 'nat              = "instance"', 'nat              = "single"', "price", environment="dev", saying="more than 150"),
    Fault("a price that nobody renewed", "environments/staging/platform/main.tf", '"kafka.t3.small"', '"kafka.m7g.large"', "price", saying="not the price"),
    # Order
    Fault("nodes before their network", NODES, "    aws_eks_addon.before_nodes,\n", "", "destroy-order", "order"),
    Fault("nodes that outlive their NAT", "modules/vpc/outputs.tf", "    aws_route.nat_gateway,\n", "", "destroy-order", "order"),
    Fault("Karpenter gone before its nodes", "modules/cluster/karpenter.tf", "  depends_on = [helm_release.karpenter]\n", "", "destroy-order", "order"),
    # Refusals, which the modules' own tests hold
    Fault("spot with too few types", "modules/eks/variables_nodes.tf", "length(distinct(g.instance_types)) >= 10", "length(distinct(g.instance_types)) >= 1", "module-tests", "module"),
    Fault("overlapping networks", "modules/vpc/variables.tf", "!= cidrhost(", "!= \"\" || \"\" == cidrhost(", "module-tests", "module"),
    Fault("a budget under the price", "modules/observability/budget.tf", "var.monthly_budget_usd >= var.price_usd", "true", "module-tests", "module"),
    Fault("TLS of PostgreSQL turned off", "modules/rds/parameters.tf", '"rds.force_ssl"                       = "1"', '"rds.force_ssl"                       = "0"', "module-tests", "module"),
]  # fmt: skip
