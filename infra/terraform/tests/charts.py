"""The charts that the cluster roots install from this project, rendered with a plan's values."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from assertions import Environment, flows, vault
from findings import Finding
from plans import Plan
from trees import CHARTS

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def local(plan: Plan, folder: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Release, chart folder, values; charts from registries are left out."""
    for name, (release, values) in plan.releases().items():
        if release.values["chart"].startswith("."):
            yield name, (folder / release.values["chart"]).resolve(), values


def rendered(path: Path, name: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    import helm_python  # optional: the step is skipped without it

    with helm_python.Chart.load(str(path)) as chart:
        files = chart.render(values, name=name, namespace="ecap")
    return [
        doc
        for file, text in sorted(files.items())
        if file.endswith(".yaml")
        for doc in yaml.load_all(text, Loader=LOADER)
        if doc
    ]


def documents(plan: Plan, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Of all local charts, by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, path, values in local(plan, folder):
        for document in rendered(path, name, values):
            found.setdefault(document["kind"], []).append(document)
    return found


def operator(plan: Plan) -> Iterator[tuple[str, str]]:
    """The chart's checks know the definitions and the rules of one version of KubeRay."""
    known = re.findall(r"KubeRay v([0-9.]+) ", (CHARTS / "tests" / "shrink.py").read_text())
    for name, (release, _) in plan.releases().items():
        if name == "kuberay-operator" and [release.values["version"]] != known:
            yield name, f"is {release.values['version']}, but deploy/kuberay/tests know {known}"


def faults(found: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    spaces = {d["metadata"]["name"]: d["metadata"]["labels"] for d in found.get("Namespace", [])}
    level = "pod-security.kubernetes.io/enforce"
    if spaces.get("ecap", {}).get(level) != "restricted":
        yield "namespaces", "ecap does not enforce the restricted Pod Security level"
    for node_class in found.get("EC2NodeClass", []):
        spec = node_class["spec"]
        if not all(d["ebs"]["encrypted"] for d in spec["blockDeviceMappings"]):
            yield "karpenter-nodes", "its nodes' disks are not encrypted"
        if spec["metadataOptions"] != {"httpTokens": "required", "httpPutResponseHopLimit": 1}:
            yield "karpenter-nodes", "its pods can reach the node's credentials"
    if not any(c["parameters"]["encrypted"] == "true" for c in found.get("StorageClass", [])):
        yield "storage", "volumes are not encrypted"
    for pool in found.get("NodePool", []):
        if not pool["spec"].get("limits", {}).get("cpu"):
            yield f"pool {pool['metadata']['name']}", "has no limit: a mistake costs without end"


def check(environment: Environment, folder: Path) -> list[Finding]:
    """`folder` is the cluster root, from where the charts' paths start."""
    found = documents(environment.cluster, folder)
    checks = {
        "charts": [*faults(found), *operator(environment.cluster)],
        "ports-agree": flows.ports(environment.platform, found),
        "identities-agree": flows.identities(environment.platform, found),
        "vault-agrees": vault.check(environment.vault, found),
    }
    return [
        Finding(name, f"{environment.name}: {where}", what)
        for name, check in checks.items()
        for where, what in check
    ]
