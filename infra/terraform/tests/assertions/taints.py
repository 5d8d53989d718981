"""What must run on tainted nodes tolerates their taints, and goes to nodes that exist."""

from collections.abc import Iterator
from typing import Any

from plans import Plan

EFFECTS = {
    "NO_SCHEDULE": "NoSchedule",
    "NO_EXECUTE": "NoExecute",
    "PREFER_NO_SCHEDULE": "PreferNoSchedule",
}
# Where each release says it runs: path to the object that holds nodeSelector and tolerations.
PLACES = {
    "kuberay-operator": [""],
    "karpenter": [""],
    "monitoring": ["prometheusOperator", "kube-state-metrics", "prometheus.prometheusSpec"],
    "kafka": [""],
    "ecap": ["scheduling.head", "scheduling.workers", "scheduling.spot"],
}
MUST_STAY = {"kuberay-operator", "karpenter"}


class Nodes:
    """Kinds of nodes: labels, taints, and whether AWS may take them away."""

    def __init__(self, platform: Plan, cluster: Plan) -> None:
        self.kinds: dict[str, tuple[dict[str, str], set[tuple[str, str, str]], bool]] = {}
        for group in platform.resources("aws_eks_node_group"):
            taints = {
                (t["key"], t["value"], EFFECTS[t["effect"]]) for t in group.values["taint"] or []
            }
            spot = group.values["capacity_type"] == "SPOT"
            self.kinds[str(group.index)] = (group.values["labels"] or {}, taints, spot)
        releases = cluster.releases()
        pools = releases["karpenter-nodes"][1]["pools"] if "karpenter-nodes" in releases else {}
        for name, pool in pools.items():
            taints = {(t["key"], t["value"], t["effect"]) for t in pool["taints"]}
            self.kinds[f"pool {name}"] = (pool["labels"], taints, pool["capacity"] == "spot")

    def chosen(self, selector: dict[str, str]) -> list[str]:
        return [n for n, (labels, _, _) in self.kinds.items() if selector.items() <= labels.items()]


def check(platform: Plan, cluster: Plan) -> list[tuple[str, str]]:
    nodes = Nodes(platform, cluster)
    found = [*pools_are_wide(cluster), *spot_is_tainted(nodes)]
    for name, (_, values) in cluster.releases().items():
        for path in PLACES.get(name, []):
            found += placement(nodes, name, path, at(values, path))
    return found


def at(values: dict[str, Any], path: str) -> Any:
    for part in filter(None, path.split(".")):
        values = values.get(part) or {}
    return values


def placement(
    nodes: Nodes, release: str, path: str, place: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    where = f"{release} {path}".strip()
    if path == "scheduling.workers" and not place:
        return  # dev has no on-demand workers
    selector = place.get("nodeSelector") or {}
    tolerated = {(t["key"], t["value"], t["effect"]) for t in place.get("tolerations") or []}
    kinds = nodes.chosen(selector) if selector else []
    if not kinds:
        yield where, f"selects nodes {selector} of which there are none"
    for kind in kinds:
        _, taints, spot = nodes.kinds[kind]
        for key, value, effect in sorted(taints - tolerated):
            yield (
                where,
                f"does not tolerate {key}={value}:{effect} of {kind}, so it cannot start there",
            )
        if spot and (release in MUST_STAY or path == "scheduling.head"):
            yield where, f"runs on {kind}, which is spot: it must not vanish with a node"


def pools_are_wide(cluster: Plan) -> Iterator[tuple[str, str]]:
    releases = cluster.releases()
    for name, pool in (
        releases["karpenter-nodes"][1]["pools"].items() if "karpenter-nodes" in releases else ()
    ):
        types = len(pool["families"]) * len(pool["sizes"])
        if pool["capacity"] == "spot" and types < 10:
            yield f"pool {name}", f"has {types} instance types; spot needs 10 or more"


def spot_is_tainted(nodes: Nodes) -> Iterator[tuple[str, str]]:
    for kind, (_, taints, spot) in nodes.kinds.items():
        if spot and not taints:
            yield kind, "is spot without a taint: anything would be put on it"
    if not any(spot for _, _, spot in nodes.kinds.values()):
        yield "nodes", "none is spot: Ray workers would be paid in full"
