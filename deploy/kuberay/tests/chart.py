"""The chart as Helm renders it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import helm_python
import yaml

CHART = Path(__file__).parents[1] / "ecap"
ROOT = CHART.parents[2]
ENVIRONMENTS = ("dev", "staging", "production")
Doc = dict[str, Any]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DIGEST = "sha256:" + "0" * 64
# What Terraform generates (infra/terraform/modules/cluster/ecap.tf), by environment.
_SYSTEM = {
    "key": "CriticalAddonsOnly",
    "operator": "Equal",
    "value": "true",
    "effect": "NoSchedule",
}
_SPOT = {"key": "ecap.io/spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
SPOT_SCHEDULING: Doc = {"nodeSelector": {"ecap.io/nodes": "spot"}, "tolerations": [_SPOT]}

JOB: Doc = {"rfm": {"schedule": "0 3 * * *", "entrypoint": "python -m job", "workers": 2}}


def generated(environment: str) -> Doc:
    dev = environment == "dev"
    kafka = {"bootstrap": "kafka.ecap.svc:9092", "security": "PLAINTEXT"}
    if not dev:
        kafka = {"bootstrap": "b-1.example:9098,b-2.example:9098", "security": "IAM"}
        kafka["region"] = "us-east-1"
    workers = {"nodeSelector": {"ecap.io/nodes": "workers"}, "tolerations": []}
    return {
        "environment": environment,
        "image": {"repository": "registry.example/ecap", "tag": "dev" if dev else None}
        | ({} if dev else {"digest": _DIGEST}),
        "platform": {
            "database": {"address": "db.example", "port": 5432, "name": "ecap"},
            "kafka": kafka,
            "cache": None if dev else {"url": "rediss://cache.example:6379", "token_secret": "x"},
            "buckets": {},
            "ports": {"serve": 8000, "postgresql": 5432, "valkey": 6379, "kafka_iam": 9098},
            "clusterName": "ecap",
        },
        "scheduling": {
            "head": {"nodeSelector": {"ecap.io/nodes": "system"}, "tolerations": [_SYSTEM]},
            "workers": None if dev else workers,
            "spot": SPOT_SCHEDULING,
        },
    }


def merged(*layers: Mapping[str, Any]) -> Doc:
    """As Helm lays values files over each other."""
    out: Doc = {}
    for layer in layers:
        for key, value in layer.items():
            below = out.get(key)
            if isinstance(value, Mapping) and isinstance(below, Mapping):
                out[key] = merged(below, value)
            else:
                out[key] = copy.deepcopy(value)
    return out


def values(environment: str, **extra: Any) -> Doc:
    path = CHART / f"values-{environment}.yaml"
    return merged(yaml.safe_load(path.read_text()), generated(environment), extra)


def render(given: Mapping[str, Any], *, chart: Path = CHART) -> list[Doc]:
    """Raises helm_python.HelmError for what the schema or a template refuses."""
    with helm_python.Chart.load(chart) as loaded:
        files = loaded.render(dict(given), name="ecap", namespace="ecap")
    return [
        doc
        for name, text in sorted(files.items())
        if name.endswith(".yaml")
        for doc in yaml.load_all(text, Loader=_LOADER)
        if doc
    ]


@dataclass
class Rendered:
    environment: str
    docs: list[Doc]
    values: Doc = field(default_factory=dict)

    @classmethod
    def of(cls, environment: str, **extra: Any) -> Rendered:
        given = values(environment, **extra)
        defaults = yaml.safe_load((CHART / "values.yaml").read_text())
        return cls(environment, render(given), merged(defaults, given))

    def copy(self) -> Rendered:
        return copy.deepcopy(self)

    def kind(self, kind: str) -> list[Doc]:
        return [doc for doc in self.docs if doc["kind"] == kind]

    def one(self, kind: str, name: str = "ecap") -> Doc:
        (found,) = [doc for doc in self.kind(kind) if doc["metadata"].get("name") == name]
        return found

    @property
    def cluster(self) -> Doc:
        cluster: Doc = self.one("RayService")["spec"]["rayClusterConfig"]
        return cluster

    @property
    def serve(self) -> Doc:
        text = self.one("RayService")["spec"]["serveConfigV2"]
        config: Doc = yaml.load(text, Loader=_LOADER)  # noqa: S506  a SafeLoader
        return config


def cluster_of(doc: Doc) -> Doc | None:
    """The RayCluster inside any of Ray's kinds."""
    spec = doc.get("spec") or {}
    spec = spec.get("jobTemplate") or spec
    found: Doc | None = spec.get("rayClusterConfig") or spec.get("rayClusterSpec")
    return found
