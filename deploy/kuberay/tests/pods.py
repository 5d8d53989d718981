"""The pods that the chart leads to, with what KubeRay 1.7 adds (controllers/ray/common/pod.go)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

from chart import Doc, Rendered, cluster_of

COMPONENT = "app.kubernetes.io/component"
SERVING = "ray-worker"


@dataclass
class Pod:
    where: str
    role: str
    """head, worker, job or server."""
    group: str
    spec: Doc
    metadata: Doc

    @property
    def component(self) -> str:
        return str(self.metadata["labels"].get(COMPONENT))

    def manifest(self) -> Doc:
        name = self.where.lower().replace("/", "-")
        metadata = {**self.metadata, "name": name, "namespace": "ecap"}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self.spec}


def of(rendered: Rendered) -> Iterator[Pod]:
    for doc in rendered.docs:
        name = f"{doc['kind']}/{doc['metadata'].get('name', 'new')}"
        cluster = cluster_of(doc) if str(doc["apiVersion"]).startswith("ray.io/") else None
        if cluster:
            yield _head(name, cluster)
            for group in cluster.get("workerGroupSpecs", []):
                yield _worker(name, group)
        elif doc["kind"] in ("Job", "StatefulSet"):
            template = doc["spec"]["template"]
            role = "job" if doc["kind"] == "Job" else "server"
            yield Pod(name, role, "", template["spec"], template["metadata"])


def _head(name: str, cluster: Doc) -> Pod:
    template = copy.deepcopy(cluster["headGroupSpec"]["template"])
    spec = template["spec"]
    options = cluster.get("autoscalerOptions") or {}
    if cluster.get("enableInTreeAutoscaling"):
        scaler = {
            "name": "autoscaler",
            "image": spec["containers"][0]["image"],
            "command": ["/bin/bash", "-c", "--"],
            "args": ["ray kuberay-autoscaler"],
        }
        for key in ("resources", "securityContext", "env", "volumeMounts"):
            if key in options:
                scaler[key] = options[key]
        spec["containers"].append(scaler)
    return Pod(f"{name}/head", "head", "head", spec, template["metadata"])


def _worker(name: str, group: Doc) -> Pod:
    template = copy.deepcopy(group["template"])
    spec = template["spec"]
    ray = spec["containers"][0]
    spec["initContainers"] = [
        *spec.get("initContainers", []),
        {
            "name": "wait-gcs-ready",
            "image": ray["image"],
            "command": ["/bin/bash", "-c", "--"],
            "args": ["until ray health-check; do sleep 5; done"],
            "securityContext": ray.get("securityContext"),
            "volumeMounts": ray.get("volumeMounts", []),
            "resources": {
                "limits": {"cpu": "200m", "memory": "256Mi"},
                "requests": {"cpu": "200m", "memory": "256Mi"},
            },
        },
    ]
    return Pod(
        f"{name}/{group['groupName']}", "worker", group["groupName"], spec, template["metadata"]
    )
