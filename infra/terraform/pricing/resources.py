"""The price of one planned resource. A type neither priced nor free here fails the pricing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pricing.tariff import Line, Tariff

# Nothing by themselves; what they store or move is priced from usage.json.
FREE = {
    "aws_appautoscaling_policy", "aws_appautoscaling_target", "aws_budgets_budget",
    "aws_cloudwatch_dashboard",  # three of up to 50 metrics are free in an account
    "aws_cloudwatch_event_rule", "aws_cloudwatch_event_target", "aws_cloudwatch_log_group",
    "aws_db_parameter_group", "aws_db_subnet_group", "aws_default_security_group",
    "aws_eks_access_entry", "aws_eks_access_policy_association", "aws_eks_addon",
    "aws_eks_pod_identity_association", "aws_elasticache_parameter_group",
    "aws_elasticache_subnet_group", "aws_flow_log", "aws_iam_instance_profile", "aws_iam_role",
    "aws_iam_role_policy", "aws_iam_role_policy_attachment", "aws_internet_gateway",
    "aws_kms_alias", "aws_launch_template", "aws_msk_configuration", "aws_route",
    "aws_route_table", "aws_route_table_association", "aws_s3_bucket",
    "aws_s3_bucket_inventory", "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_logging", "aws_s3_bucket_ownership_controls", "aws_s3_bucket_policy",
    "aws_s3_bucket_public_access_block", "aws_s3_bucket_server_side_encryption_configuration",
    "aws_s3_bucket_versioning", "aws_secretsmanager_secret_policy",
    "aws_secretsmanager_secret_version", "aws_security_group", "aws_sns_topic",
    "aws_sns_topic_policy", "aws_sns_topic_subscription", "aws_sqs_queue",
    "aws_sqs_queue_policy", "aws_ssm_parameter", "aws_subnet", "aws_vpc",
    "aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule",
}  # fmt: skip


class Unpriced(Exception):
    """The plan holds something whose price is not known: add it, or list it as free."""


@dataclass(frozen=True)
class Planned:
    """The managed resources of a plan, by address."""

    resources: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, plan: dict[str, Any]) -> "Planned":
        def walk(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
            yield from module.get("resources", [])
            for child in module.get("child_modules", []):
                yield from walk(child)

        found = walk(plan["planned_values"]["root_module"])
        return cls({r["address"]: r for r in found if r["mode"] == "managed"})

    def sibling(self, resource: dict[str, Any], kind: str) -> dict[str, Any]:
        """The resource of another type with the same module and key."""
        module = resource["address"].rsplit(f"{resource['type']}.", 1)[0]
        for other in self.resources.values():
            same_module = other["address"].startswith(f"{module}{kind}.")
            if same_module and other.get("index") == resource.get("index"):
                return other
        raise Unpriced(f"{resource['address']} has no {kind} beside it")

    def zones(self) -> int:
        subnets = [r for r in self.resources.values() if r["type"] == "aws_subnet"]
        return len({s["values"]["availability_zone"] for s in subnets})


def node_group(resource: dict[str, Any], planned: Planned, tariff: Tariff) -> Iterator[Line]:
    values = resource["values"]
    count = values["scaling_config"][0]["min_size"]
    template = planned.sibling(resource, "aws_launch_template")["values"]
    disk = template["block_device_mappings"][0]["ebs"][0]["volume_size"]
    yield from tariff.nodes(values["capacity_type"], values["instance_types"], count, disk)


def instance(resource: dict[str, Any], planned: Planned, tariff: Tariff) -> Iterator[Line]:
    values = resource["values"]
    yield tariff.hourly(f"ec2.{values['instance_type']}")
    yield tariff.monthly("ebs.gp3", values["root_block_device"][0]["volume_size"])
    if values["associate_public_ip_address"]:
        yield tariff.hourly("ipv4")


def endpoint(resource: dict[str, Any], planned: Planned, tariff: Tariff) -> Iterator[Line]:
    if resource["values"]["vpc_endpoint_type"] == "Interface":
        yield tariff.hourly("vpc.interface_endpoint", planned.zones())


def database(resource: dict[str, Any], planned: Planned, tariff: Tariff) -> Iterator[Line]:
    values = resource["values"]
    copies = 2 if values["multi_az"] else 1
    yield tariff.hourly(f"rds.{values['instance_class']}", copies)
    yield tariff.monthly("rds.gp3", values["allocated_storage"] * copies)
    if values["manage_master_user_password"]:
        yield tariff.monthly("secretsmanager.secret")
    if values["database_insights_mode"] == "advanced":
        vcpus = 2  # of the micro to large classes, the only ones priced here
        yield tariff.hourly("rds.insights_advanced", vcpus * copies)


def brokers(resource: dict[str, Any], planned: Planned, tariff: Tariff) -> Iterator[Line]:
    values = resource["values"]
    if values["enhanced_monitoring"] != "DEFAULT":
        raise Unpriced(f"{resource['address']}: only DEFAULT monitoring is priced")
    group = values["broker_node_group_info"][0]
    count = values["number_of_broker_nodes"]
    yield tariff.hourly(f"msk.{group['instance_type']}", count)
    for storage in group["storage_info"]:
        size = storage["ebs_storage_info"][0]["volume_size"]
        yield tariff.monthly("msk.storage", size * count)


def serverless_kafka(resource: dict[str, Any], planned: Planned, tariff: Tariff) -> Iterator[Line]:
    # ECAP's topics and their dead letters
    partitions = 2 * (6 + 3 + 3 + 12 + 2 + 4 + 3 + 1 + 1 + 1)
    yield tariff.hourly("msk.serverless_cluster")
    yield tariff.hourly("msk.serverless_partition", partitions)


def cache(resource: dict[str, Any], planned: Planned, tariff: Tariff) -> Iterator[Line]:
    values = resource["values"]
    yield tariff.hourly(f"elasticache.valkey.{values['node_type']}", values["num_cache_clusters"])


def hourly(key: str) -> Callable[[dict[str, Any], Planned, Tariff], Iterator[Line]]:
    return lambda resource, planned, tariff: iter([tariff.hourly(key)])


def monthly(key: str) -> Callable[[dict[str, Any], Planned, Tariff], Iterator[Line]]:
    return lambda resource, planned, tariff: iter([tariff.monthly(key)])


PRICED: dict[str, Callable[[dict[str, Any], Planned, Tariff], Iterator[Line]]] = {
    "aws_cloudwatch_metric_alarm": monthly("cloudwatch.alarm"),
    "aws_db_instance": database,
    "aws_eip": hourly("ipv4"),
    "aws_eks_cluster": hourly("eks.cluster"),
    "aws_eks_node_group": node_group,
    "aws_elasticache_replication_group": cache,
    "aws_instance": instance,
    "aws_kms_key": monthly("kms.key"),
    "aws_msk_cluster": brokers,
    "aws_msk_serverless_cluster": serverless_kafka,
    "aws_nat_gateway": hourly("nat.gateway"),
    "aws_secretsmanager_secret": monthly("secretsmanager.secret"),
    "aws_vpc_endpoint": endpoint,
}


def lines(plan: dict[str, Any], tariff: Tariff) -> Iterator[tuple[str, Line]]:
    """Every priced line with the address it belongs to."""
    planned = Planned.of(plan)
    for address, resource in sorted(planned.resources.items()):
        kind = resource["type"]
        if kind in PRICED:
            for line in PRICED[kind](resource, planned, tariff):
                yield address, line
        elif kind not in FREE:
            raise Unpriced(
                f"{address}: no price for {kind}. Add it to PRICED or FREE in pricing/resources.py."
            )
