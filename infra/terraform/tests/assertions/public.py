"""Nothing answers the internet, and no policy lets strangers in."""

from collections.abc import Iterator

from plans import Plan, Policy, Resource

WORLD = {"0.0.0.0/0", "::/0"}
# Conditions that tie a statement for "everybody" to this account or organisation.
TYING = {
    "kms:CallerAccount",
    "aws:PrincipalAccount",
    "aws:PrincipalOrgID",
    "aws:SourceAccount",
    "aws:SourceArn",
}


def check(plan: Plan) -> list[tuple[str, str]]:
    return [
        *rules(plan),
        *addresses(plan),
        *endpoints(plan),
        *buckets(plan),
        *(strangers(s) for s in plan.statements() if lets_strangers_in(s)),
    ]


def rules(plan: Plan) -> Iterator[tuple[str, str]]:
    for rule in plan.resources("aws_vpc_security_group_ingress_rule"):
        if {rule.values.get("cidr_ipv4"), rule.values.get("cidr_ipv6")} & WORLD:
            yield rule.address, "lets the whole internet in"
    for rule in plan.resources("aws_vpc_security_group_egress_rule"):
        world = {rule.values.get("cidr_ipv4"), rule.values.get("cidr_ipv6")} & WORLD
        if world and rule.name != "nat_to_internet":
            yield rule.address, "lets out to the whole internet; only the NAT may"
    for old in plan.resources("aws_security_group", "aws_security_group_rule", "aws_network_acl"):
        if old.values.get("ingress") or old.values.get("cidr_blocks"):
            yield old.address, "holds rules inline; use one rule resource a flow"


def addresses(plan: Plan) -> Iterator[tuple[str, str]]:
    for subnet in plan.resources("aws_subnet"):
        if subnet.values.get("map_public_ip_on_launch"):
            yield subnet.address, "gives public addresses to whatever starts in it"
    for instance in plan.resources("aws_instance"):
        if instance.values.get("associate_public_ip_address") and instance.name != "nat":
            yield instance.address, "has a public address; only the NAT may"


def endpoints(plan: Plan) -> Iterator[tuple[str, str]]:
    for database in plan.resources("aws_db_instance"):
        if database.values.get("publicly_accessible") is not False:
            yield database.address, "publicly_accessible is not false"
    for cluster in plan.resources("aws_eks_cluster"):
        if cluster.at("vpc_config.endpoint_private_access") is not True:
            yield cluster.address, "has no private endpoint"
        networks = cluster.at("vpc_config.public_access_cidrs") or []
        if cluster.at("vpc_config.endpoint_public_access") and (
            not networks or set(networks) & WORLD
        ):
            yield cluster.address, "answers the whole internet"
    for brokers in plan.resources("aws_msk_cluster"):
        path = "broker_node_group_info.connectivity_info.public_access.type"
        if brokers.at(path) != "DISABLED":
            yield brokers.address, "brokers may be public"
        if brokers.at("client_authentication.unauthenticated") is not False:
            yield brokers.address, "lets in clients that do not say who they are"


def buckets(plan: Plan) -> Iterator[tuple[str, str]]:
    closed = {identity(b): b for b in plan.resources("aws_s3_bucket_public_access_block")}
    for bucket in plan.resources("aws_s3_bucket"):
        block = closed.get(identity(bucket))
        flags = (
            "block_public_acls",
            "block_public_policy",
            "ignore_public_acls",
            "restrict_public_buckets",
        )
        if block is None or not all(block.values.get(flag) for flag in flags):
            yield bucket.address, "is not closed to the public in all four ways"


def identity(resource: Resource) -> tuple[str, str, str | int | None]:
    """Module, name and key: what the resources around one bucket have in common."""
    return resource.address.split(resource.type)[0], resource.name, resource.index


def lets_strangers_in(statement: Policy) -> bool:
    everybody = any("*" in who for who in statement.principals.values())
    tied = any(statement.conditions.get(key) for key in TYING)
    return statement.effect == "Allow" and everybody and not tied


def strangers(statement: Policy) -> tuple[str, str]:
    return statement.where, f"statement {statement.sid!r} allows everybody, of any account"
