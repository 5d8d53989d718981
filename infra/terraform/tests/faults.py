"""The faults of mutations.py: one edit each, the check that must find it, and what it must say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    what: str
    path: str
    before: str
    after: str
    caught_by: str
    saying: str
    # static: no Terraform · platform, cluster, vault: a plan · order: the graph · charts: rendered ·
    # module: its tests
    stage: str = "platform"
    environment: str = "staging"
    # Planted without others: the finding could be theirs, or they would hide it.
    alone: bool = False

    def batch(self) -> tuple[str, str, str]:
        return self.stage, self.environment, self.path if self.stage == "module" else ""


RDS = "modules/rds/instance.tf"
EKS = "modules/eks/cluster.tf"
FLOWS = "modules/security-groups/flows.tf"
NODES = "modules/eks/nodes.tf"
KAFKA = "modules/msk/provisioned.tf"
DEV = "environments/dev/platform/main.tf"
WORLD_RULE = '  cidr_ipv4 = "0.0.0.0/0"\n'
GROUP_RULE = "  referenced_security_group_id = aws_security_group.this[each.value.from].id\n"

STATIC = [
    Fault("an argument misspelt", RDS, "multi_az  ", "multi_zone  ", "schema", r"this\.multi_zone: is no argument", "static"),
    Fault("a required argument gone", EKS, "role_arn   ", "# role_arn   ", "schema", "role_arn is required", "static"),
    Fault("a block written as an argument", EKS, "access_config {", "access_config = {", "schema", "access_config: is a block", "static"),
    Fault("a read-only attribute set", RDS, "publicly_accessible  ", 'endpoint = "x"\n  publicly_accessible  ', "schema", "endpoint: is decided by the provider", "static"),
    Fault("a number where a list stands", NODES, "instance_types         = each.value.instance_types", "instance_types         = 3", "schema", "instance_types: must be of type", "static"),
    Fault("a variable without description", "modules/kms/variables.tf", '  description = "Days between rotations of the key material."\n', "", "declarations", "rotation_days: has no description", "static"),
    Fault("a variable that nothing uses", "modules/rds/monitoring.tf", "var.log_retention_days", "30", "declarations", "log_retention_days: is used nowhere", "static"),
    Fault("an input that no module has", "modules/platform/data.tf", "multi_az            =", "multi_zone          =", "declarations", "rds.multi_zone: is no input", "static"),
]  # fmt: skip

PUBLIC = [
    Fault("a public database", RDS, "publicly_accessible    = false", "publicly_accessible    = true", "nothing-public", "publicly_accessible"),
    Fault("buckets half closed", "modules/s3-data-lake/main.tf", "restrict_public_buckets = true", "restrict_public_buckets = false", "nothing-public", r'bucket\.this\["raw"\]: is not closed'),
    Fault("groups open to the world", FLOWS, GROUP_RULE, WORLD_RULE, "nothing-public", r'flow\["nodes-to-postgresql"\]: lets the whole internet in'),
    Fault("brokers that take anybody", KAFKA, "unauthenticated = false", "unauthenticated = true", "nothing-public", "clients that do not say who they are"),
    Fault("a key for every account", "modules/kms/policy.tf", 'variable = "kms:CallerAccount"', 'variable = "kms:EncryptionAlgorithm"', "nothing-public", "UseThroughServices.*allows everybody"),
]  # fmt: skip

ENCRYPTED = [
    Fault("a database in the clear", RDS, "storage_encrypted     = true", "storage_encrypted     = false", "everything-encrypted", "storage_encrypted is False"),
    Fault("plain text to the brokers", KAFKA, 'client_broker = "TLS"', 'client_broker = "TLS_PLAINTEXT"', "everything-encrypted", "TLS_PLAINTEXT"),
    Fault("a cache without TLS", "modules/cache/main.tf", "transit_encryption_enabled = true", "transit_encryption_enabled = false", "everything-encrypted", "transit_encryption_enabled is False"),
    Fault("logs without a key", EKS, "  kms_key_id        = var.kms_key_arn\n", "", "everything-encrypted", "control_plane: kms_key_id is not set"),
    Fault("a key that stays for ever", "modules/kms/main.tf", "enable_key_rotation     = true", "enable_key_rotation     = false", "everything-encrypted", "enable_key_rotation is False"),
    Fault("node credentials for pods", NODES, "http_put_response_hop_limit = 1", "http_put_response_hop_limit = 2", "everything-encrypted", "hop_limit is 2"),
    Fault("requests without TLS", "modules/s3-data-lake/policy.tf", 'sid       = "TlsOnly"\n    effect    = "Deny"', 'sid       = "TlsOnly"\n    effect    = "Allow"', "everything-encrypted", r'bucket\["raw"\]: does not deny requests without TLS'),
    Fault("a secret in the state", "modules/cache/token.tf", "secret_string_wo         = var.auth_token\n  secret_string_wo_version = var.auth_token_version", 'secret_string = "hunter2"', "everything-encrypted", "secret_string puts a secret into the state"),
    Fault("PostgreSQL without TLS", "modules/rds/parameters.tf", "for_each = local.parameters", 'for_each = { for k, v in local.parameters : k => v if k != "rds.force_ssl" }', "everything-encrypted", "force_ssl is not 1"),
]  # fmt: skip

PORTS = [
    Fault("a database on another port", "modules/platform/data.tf", 'module.security_groups.ports["postgresql"]', "5433", "ports-agree", "listens on 5433"),
    Fault("a wrong port for Kafka", "modules/security-groups/main.tf", "kafka_iam     = 9098", "kafka_iam     = 9092", "ports-agree", "listens on 9098, but flow nodes-to-kafka opens 9092"),
    Fault("a range of ports", FLOWS, "from_port                    = each.value.port", "from_port                    = 1", "ports-agree", "opens a range"),
]  # fmt: skip

IAM = [
    Fault("all of S3", "modules/s3-data-lake/access.tf", '"s3:AbortMultipartUpload"', '"s3:*"', "iam-least", r"allows s3:\*"),
    Fault("any role to any service", "modules/karpenter/policy.tf", 'variable = "iam:PassedToService"', 'variable = "iam:ResourceTag/x"', "iam-least", "pass a role to any service"),
    Fault("every resource", "modules/karpenter/policy.tf", '"arn:${local.partition}:ssm:${local.region}::parameter/aws/service/*"', '"*"', "iam-least", "ssm:GetParameter on every resource"),
    Fault("an action that no code calls", "modules/msk/access.tf", '"kafka-cluster:ReadData"', '"kafka-cluster:ReadData", "kafka-cluster:DeleteTopic"', "iam-usage", "DeleteTopic: is granted, and nothing"),
    Fault("an action that the code lacks", "modules/msk/access.tf", '"kafka-cluster:CreateTopic", ', "", "iam-usage", "CreateTopic: is called by the code"),
    Fault("a topic forgotten", "modules/msk/variables_operation.tf", '"accounts", ', "", "iam-usage", "differ in .*accounts"),
]  # fmt: skip

NODE_KINDS = [
    Fault("an operator that tolerates nothing", "modules/cluster/operator.tf", "tolerations  = local.system_tolerations", "tolerations  = []", "taints-tolerated", "kuberay-operator: does not tolerate CriticalAddonsOnly", "cluster"),
    Fault("a spot taint renamed on one side", "modules/cluster/scheduling.tf", "for taint in local.spot_taints : merge(taint, {", 'for taint in local.spot_taints : merge(taint, { key = "spot",', "taints-tolerated", r"scheduling\.spot: does not tolerate ecap\.io/spot", "cluster"),
    Fault("the Ray head on spot", "modules/cluster/ecap.tf", "head    = { nodeSelector = local.system_selector", "head    = { nodeSelector = local.spot_selector", "taints-tolerated", r"scheduling\.head: runs on pool spot, which is spot", "cluster"),
    Fault("few spot pools", "modules/cluster/karpenter.tf", '["m6g", "m7g", "m8g", "r6g", "r7g", "r8g"]', '["m7g", "m8g"]', "taints-tolerated", "has 4 instance types", "cluster"),
    Fault("spot nodes without a taint", DEV, '"ecap.io/spot" = { value = "true", effect = "NO_SCHEDULE" }', "", "taints-tolerated", "spot without a taint", environment="dev"),
]  # fmt: skip

PRICE = [
    Fault("a second spot node in dev", DEV, "min      = 1", "min      = 2", "price", "more than 150", environment="dev", alone=True),
    Fault("a gateway in dev", DEV, 'nat              = "instance"', 'nat              = "single"', "price", "more than 150", environment="dev", alone=True),
    Fault("a price that nobody renewed", "environments/staging/platform/main.tf", '"kafka.t3.small"', '"kafka.m7g.large"', "price", "is not the price"),
    Fault("a budget under the price", "environments/staging/platform/variables.tf", "default     = 900", "default     = 600", "plan", "is under the price", alone=True),
]  # fmt: skip

ORDER = [
    Fault("nodes before their network", NODES, "    aws_eks_addon.before_nodes,\n", "", "destroy-order", "before_nodes: may be destroyed before", "order"),
    Fault("nodes that outlive their NAT", "modules/vpc/outputs.tf", "    aws_route.nat_gateway,\n", "", "destroy-order", "nat_gateway: may be destroyed before", "order"),
    Fault("Karpenter gone before its nodes", "modules/cluster/karpenter.tf", "  depends_on = [helm_release.karpenter]\n", "", "destroy-order", r"release\.karpenter: may be destroyed before", "order"),
]  # fmt: skip

CHARTS = [
    Fault("volumes in the clear", "modules/cluster/charts/storage/templates/gp3.yaml", 'encrypted: "true"', 'encrypted: "false"', "charts", "volumes are not encrypted", "charts"),
    Fault("a namespace that admits anything", "modules/cluster/charts/namespaces/templates/namespaces.yaml", "/enforce: {{ $level }}", "/enforce: privileged", "charts", "ecap does not enforce", "charts"),
    Fault("a pool without a limit", "modules/cluster/charts/karpenter-nodes/templates/nodepools.yaml", "cpu: {{ $pool.cpuLimit }}", "{}", "charts", "pool spot: has no limit", "charts"),
]  # fmt: skip

DEPLOY = "../../deploy/kuberay/"
POLICIES = DEPLOY + "ecap/templates/networkpolicies.yaml"
PODS = DEPLOY + "ecap/templates/_pods.tpl"
VAULT = "environments/staging/vault/main.tf"

BOTH_SIDES = [
    Fault("a policy with another port than the database", POLICIES, '"database" "postgresql"', '"database" "valkey"', "ports-agree", r"ecap-to-database: lets out to \[6379\], but nodes-to-postgresql is 5432", "charts"),
    Fault("a policy for brokers of SCRAM", POLICIES, '"IAM" "kafka_iam"', '"IAM" "postgresql"', "ports-agree", r"ecap-to-kafka: lets out to \[5432\], but nodes-to-kafka is 9098", "charts"),
    Fault("containers on another port", PODS, "{name: serve, containerPort: 8000}", "{name: serve, containerPort: 8080}", "ports-agree", r"listen on \[8080\], but load-balancer-to-serve is 8000", "charts"),
    Fault("an Ingress to another port", DEPLOY + "ecap/templates/ingress.yaml", "port: {number: 8000}", "port: {number: 8001}", "ports-agree", "goes to 8001", "charts"),
    Fault("a policy that keeps the load balancer out", POLICIES, "ports: [{port: 8000, protocol: TCP}]", "ports: [{port: 8002, protocol: TCP}]", "ports-agree", "not 8000 of the load balancer", "charts"),
    Fault("a policy with another port than the broker", DEPLOY + "kafka-dev/templates/kafka.yaml", "ports: [{port: 9092, protocol: TCP}]", "ports: [{port: 9093, protocol: TCP}]", "ports-agree", r"lets in \[9093\], but listens on 9092", "charts", "dev"),
    Fault("a group with another port than the containers", "modules/security-groups/main.tf", "serve         = 8000", "serve         = 8443", "ports-agree", r"listen on \[8000\], but load-balancer-to-serve is 8443"),
    Fault("an operator that the checks do not know", DEPLOY + "others/charts.yaml", "version: 1.7.0", "version: 1.6.2", "charts", r"kuberay-operator: is 1\.6\.2", "cluster"),
    Fault("a role for nobody", "modules/platform/compute.tf", 'service_account = "ecap-ray"', 'service_account = "ecap-works"', "identities-agree", "ecap-works: has a role of AWS, and the chart makes no such"),
    Fault("pods without the role", PODS, 'ternary "ray" "head" $serving', 'ternary "jobs" "head" $serving', "identities-agree", "ecap-jobs: logs in to MSK by IAM and has no role", "charts"),
    Fault("Vault with another mount", "environments/staging/vault/variables.tf", 'default     = "kubernetes"', 'default     = "clusters"', "vault-agrees", "logs in at kubernetes, and Vault has", "vault"),
    Fault("Vault with another account", VAULT, '"ecap-migrate"]', '"ecap-head"]', "vault-agrees", "ecap-migrate: is not bound", "vault"),
    Fault("secrets that Vault keeps", VAULT, '"${var.kv_mount}/data/ecap/*"     = ["read"]', '"${var.kv_mount}/data/ecap/*"     = ["list"]', "vault-agrees", "may not read secret/data/ecap/postgres", "vault"),
]  # fmt: skip

REFUSALS = [
    Fault("spot with too few types", "modules/eks/variables_nodes.tf", "length(distinct(g.instance_types)) >= 10", "length(distinct(g.instance_types)) >= 1", "module-tests", "refuses_few_spot_types", "module"),
    Fault("overlapping networks", "modules/vpc/variables.tf", "!= cidrhost(", '!= "" || "" == cidrhost(', "module-tests", "refuses_overlap", "module"),
    Fault("production by tag", "modules/cluster/variables.tf", 'can(regex("^sha256:[0-9a-f]{64}$", var.image.digest))', "true", "module-tests", "refuses_a_tag_in_production", "module"),
    Fault("a cache that needs no token", "modules/platform/variables_data.tf", "var.cache == null || var.cache_auth_token != null", 'var.cache == null || try(var.cache_auth_token, "") != "" || true', "module-tests", "refuses_a_cache_without_token", "module"),
    Fault("a version without a family", "modules/rds/variables.tf", "^1[78]", "^1[0-9]", "module-tests", "refuses_unknown_version", "module"),
]  # fmt: skip

FAULTS = [
    *STATIC,
    *PUBLIC,
    *ENCRYPTED,
    *PORTS,
    *IAM,
    *NODE_KINDS,
    *PRICE,
    *ORDER,
    *CHARTS,
    *BOTH_SIDES,
    *REFUSALS,
]
