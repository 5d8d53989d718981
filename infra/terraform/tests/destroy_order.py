"""The order in which environments are taken down: the dependencies, read backwards.

What must go first has to depend, through whatever lies between, on what must outlive it. Read from
`terraform graph`, since a destroy that went well once may only have been lucky.
"""

import re
from collections.abc import Iterator

from findings import Finding
from terraform import Terraform

# (what goes first, what must outlive it, why), by the ends of addresses.
PLATFORM = [
    ("eks.aws_eks_node_group.this", "vpc.aws_nat_gateway.this", "leaving nodes talk to AWS through it"),
    ("eks.aws_eks_node_group.this", "vpc.aws_instance.nat", "leaving nodes talk to AWS through it"),
    ("eks.aws_eks_node_group.this", "vpc.aws_route.nat_gateway", "leaving nodes talk to AWS over it"),
    ("eks.aws_eks_node_group.this", "vpc.aws_route.nat_instance", "leaving nodes talk to AWS over it"),
    ("eks.aws_eks_node_group.this", "eks.aws_eks_addon.before_nodes", "leaving pods have addresses"),
    ("eks.aws_eks_node_group.this", "eks.aws_iam_role_policy_attachment.node", "leaving nodes have rights"),
    ("eks.aws_eks_node_group.this", "security_groups.aws_vpc_security_group_ingress_rule.flow", "pods finish their work"),
    ("eks.aws_eks_addon.after_nodes", "eks.aws_eks_node_group.this", "their pods run on them"),
    ("eks.aws_eks_addon.before_nodes", "eks.aws_iam_role_policy_attachment.addon", "they call AWS until the end"),
    ("eks.aws_eks_cluster.this", "eks.aws_cloudwatch_log_group.control_plane", "EKS would make it again, for ever"),
    ("eks.aws_eks_cluster.this", "eks.aws_iam_role_policy_attachment.cluster", "EKS removes its interfaces with it"),
    ("aws_ssm_parameter.published", "eks.aws_eks_node_group.this", "nobody may find a cluster that is going"),
    ("aws_ssm_parameter.published", "eks.aws_eks_access_policy_association.this", "the cluster root needs its access"),
    ("rds.aws_db_instance.this", "kms.aws_kms_key.this", "the final snapshot is encrypted with it"),
    ("vpc.aws_nat_gateway.this", "vpc.aws_internet_gateway.this", "its address cannot be released otherwise"),
    ("vpc.aws_flow_log.this", "data_lake.aws_s3_bucket_policy.this", "it is delivered there"),
    ("observability.aws_budgets_budget.this", "observability.aws_sns_topic_policy.alarms", "it may publish by it"),
]  # fmt: skip
CLUSTER = [
    ("helm_release.monitoring", "helm_release.storage", "its volumes are of that class"),
    ("helm_release.ecap", "helm_release.kuberay_operator", "only the operator removes Ray's pods"),
    ("helm_release.ecap", "helm_release.karpenter_nodes", "its pods run on them"),
    ("helm_release.ecap", "helm_release.kafka", "it drains into it"),
    ("helm_release.ecap", "helm_release.monitoring", "the kind of its monitors goes with it"),
    (
        "helm_release.karpenter_nodes",
        "helm_release.karpenter",
        "only Karpenter takes its nodes down",
    ),
    ("helm_release.karpenter", "helm_release.namespaces", "it lives in one"),
]
RULES = {"platform": PLATFORM, "cluster": CLUSTER}


class Graph:
    """Which resource depends on which, from `terraform graph`."""

    def __init__(self, dot: str) -> None:
        self.needs: dict[str, set[str]] = {}
        for dependent, needed in re.findall(r'^\s*"([^"]+)" -> "([^"]+)";', dot, re.M):
            self.needs.setdefault(dependent, set()).add(needed)
        self.nodes = {*self.needs, *(n for needed in self.needs.values() for n in needed)}

    def find(self, ending: str) -> str | None:
        return next(
            (n for n in sorted(self.nodes) if n == ending or n.endswith(f".{ending}")), None
        )

    def reaches(self, start: str, end: str) -> bool:
        seen, ahead = {start}, [start]
        while ahead:
            for needed in self.needs.get(ahead.pop(), set()) - seen:
                seen.add(needed)
                ahead.append(needed)
        return end in seen


def faults(graph: Graph, rules: list[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    for first, later, why in rules:
        one, other = graph.find(first), graph.find(later)
        if one is None or other is None:
            yield f"{first}, {later}", "one of them is not there: correct the rule"
        elif not graph.reaches(one, other):
            yield later, f"may be destroyed before {first}: {why}"


def check(terraform: Terraform, environment: str) -> list[Finding]:
    """The folders must be initialised."""
    found = []
    for half, rules in RULES.items():
        graph = Graph(terraform.run(terraform.tree / "environments" / environment / half, "graph"))
        for where, what in faults(graph, rules):
            found.append(Finding("destroy-order", f"{environment} {half}: {where}", what))
    return found


def destroyed(terraform: Terraform, environment: str, *variables: str) -> list[Finding]:
    """Really destroys what was applied: dependencies that only bite backwards show here."""
    folder = terraform.tree / "environments" / environment / "platform"
    stub = terraform.providers["aws"]
    stub.deleted.clear()
    terraform.destroy(folder, *variables)
    left = terraform.run(folder, "state", "list").split()
    managed = [
        address for address in left if ".data." not in address and not address.startswith("data.")
    ]
    return [Finding("destroy-order", f"{environment}: {address}", "is left") for address in managed]
