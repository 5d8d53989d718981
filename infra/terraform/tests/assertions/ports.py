"""One port a flow, the same on both sides, on the data store, and in the charts."""

from collections.abc import Iterator

from plans import Plan

FLOWS = "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"


def check(plan: Plan) -> list[tuple[str, str]]:
    return [*both_sides(plan), *data_stores(plan)]


def flows(plan: Plan, kind: str) -> dict[str, int]:
    """Ports by flow: of the rules named "flow" in modules/security-groups."""
    rules = [r for r in plan.resources(kind) if r.name == "flow"]
    return {str(r.index): r.values["to_port"] for r in rules}


def both_sides(plan: Plan) -> Iterator[tuple[str, str]]:
    ingress, egress = (flows(plan, kind) for kind in FLOWS)
    for flow in sorted({*ingress, *egress}):
        if ingress.get(flow) != egress.get(flow):
            yield flow, f"goes out on {egress.get(flow)} and comes in on {ingress.get(flow)}"
    for kind in FLOWS:
        for rule in plan.resources(kind):
            if rule.values.get("from_port") != rule.values.get("to_port"):
                yield rule.address, "opens a range of ports; a flow has one"
            if rule.name == "flow" and rule.values.get("ip_protocol") != "tcp":
                yield rule.address, "is not TCP"


def data_stores(plan: Plan) -> Iterator[tuple[str, str]]:
    open_ports = flows(plan, FLOWS[0])
    served = [
        *(
            ("nodes-to-postgresql", d.address, d.values["port"])
            for d in plan.resources("aws_db_instance")
        ),
        *(
            ("nodes-to-valkey", c.address, c.values["port"])
            for c in plan.resources("aws_elasticache_replication_group")
        ),
        # MSK fixes its ports: IAM over TLS, and the two exporters of open monitoring.
        *(
            (flow, k.address, port)
            for k in plan.resources("aws_msk_cluster")
            for flow, port in (
                ("nodes-to-kafka", 9098),
                ("nodes-to-kafka-jmx", 11001),
                ("nodes-to-kafka-metrics", 11002),
            )
        ),
    ]
    for flow, address, port in served:
        if open_ports.get(flow) != port:
            yield address, f"listens on {port}, but flow {flow} opens {open_ports.get(flow)}"
