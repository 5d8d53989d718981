"""shrink.py OUT.json.gz CRD.yaml...   the schemas of custom resources, without descriptions.

schemas.json.gz was made by it from KubeRay v1.7.0 (helm-chart/kuberay-operator/crds, Apache-2.0)
and prometheus-operator 6adcebc (example/prometheus-operator-crd, Apache-2.0): RayService, RayJob,
RayCronJob, PodMonitor, PrometheusRule.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import yaml

_DROPPED = {"description", "example", "externalDocs"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def bare(node: Any, *, names: bool = False) -> Any:
    """`names`: the keys are a resource's fields, one of which may be called description."""
    if isinstance(node, dict):
        return {
            key: bare(value, names=key == "properties" and not names)
            for key, value in node.items()
            if names or key not in _DROPPED
        }
    return [bare(one) for one in node] if isinstance(node, list) else node


def main(out: str, *crds: str) -> None:
    found = {}
    for path in crds:
        crd = yaml.load(Path(path).read_text(), Loader=_LOADER)  # noqa: S506  a SafeLoader
        for version in crd["spec"]["versions"]:
            if version["served"] and version["name"] == "v1":
                key = f"{crd['spec']['group']}/v1/{crd['spec']['names']['kind']}"
                found[key] = bare(version["schema"]["openAPIV3Schema"])
    text = json.dumps(found, separators=(",", ":"), sort_keys=True).encode()
    Path(out).write_bytes(gzip.compress(text, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
