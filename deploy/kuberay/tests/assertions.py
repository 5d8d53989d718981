"""What has to hold for a rendered chart. Each function is one check, named after what it holds."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator

import kubernetes_validate
import pods
import schemas
from chart import SPOT_SCHEDULING, Doc, Rendered, cluster_of
from kubernetes_validate.utils import ValidationError

KUBERNETES = "1.35"
Check = Callable[[Rendered], Iterator[str]]
_OTHERS = {"gateway.networking.k8s.io/v1"}  # no schema of theirs is at hand


def ray_schema(rendered: Rendered) -> Iterator[str]:
    for doc in rendered.docs:
        if schemas.knows(doc):
            yield from schemas.findings(doc)


def core_schema(rendered: Rendered) -> Iterator[str]:
    """Core kinds, and every pod with what KubeRay adds."""
    made = [pod.manifest() for pod in pods.of(rendered)]
    for doc in [*rendered.docs, *made]:
        if schemas.knows(doc) or doc["apiVersion"] in _OTHERS:
            continue
        if fault := _invalid(json.dumps(doc)):
            yield f"{doc['kind']}/{doc['metadata']['name']}: {fault}"


@functools.cache
def _invalid(text: str) -> str | None:
    """Of what is the same in another environment, the first answer: each reads a megabyte."""
    try:
        kubernetes_validate.validate(json.loads(text), KUBERNETES, strict=True)
    except ValidationError as exc:
        where = ".".join(str(part) for part in exc.path)
        return f"{where}: {exc.message[:160]}"
    return None


def ray_rules(rendered: Rendered) -> Iterator[str]:
    """What KubeRay refuses after admission (validation.go of v1.7.0)."""
    for doc in rendered.docs:
        cluster = cluster_of(doc) if str(doc["apiVersion"]).startswith("ray.io/") else None
        if cluster is None:
            continue
        limit = {"RayService": 47, "RayJob": 47}.get(doc["kind"], 63)
        if len(doc["metadata"].get("name", "")) > limit:
            yield f"{doc['kind']}: the name has more than {limit} characters"
        yield from _groups(cluster)
        if (cluster.get("autoscalerOptions") or {}).get("version") == "v2":
            for template in _templates(cluster):
                if template["spec"].get("restartPolicy") not in (None, "Never"):
                    yield "autoscaler v2 wants restartPolicy unset or Never"


def _groups(cluster: Doc) -> Iterator[str]:
    groups = cluster.get("workerGroupSpecs", [])
    names = [group["groupName"] for group in groups]
    if len(set(names)) < len(names):
        yield f"a group name is used twice: {names}"
    for group in groups:
        low, high = group.get("minReplicas", 0), group.get("maxReplicas", 2**31)
        if not low <= group.get("replicas", low) <= high:
            yield f"{group['groupName']}: minReplicas <= replicas <= maxReplicas is broken"
        if group.get("idleTimeoutSeconds") and cluster["autoscalerOptions"].get("version") != "v2":
            yield f"{group['groupName']}: idleTimeoutSeconds needs autoscaler v2"


def _templates(cluster: Doc) -> list[Doc]:
    return [g["template"] for g in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def fault_tolerance(rendered: Rendered) -> Iterator[str]:
    if rendered.environment == "production":
        options = rendered.cluster.get("gcsFaultToleranceOptions") or {}
        if not str(options.get("redisAddress", "")).startswith("rediss://"):
            yield "the head's state is not kept in a Redis over TLS"
        if "valueFrom" not in (options.get("redisPassword") or {}):
            yield "Redis has no password from a Secret"


def pod_security(rendered: Rendered) -> Iterator[str]:
    """Pod Security Standard `restricted`, and a read-only root."""
    for pod in pods.of(rendered):
        spec = pod.spec
        for word in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(word):
                yield f"{pod.where}: {word}"
        if (
            spec.get("securityContext", {}).get("seccompProfile", {}).get("type")
            != "RuntimeDefault"
        ):
            yield f"{pod.where}: no seccomp profile"
        for volume in spec.get("volumes", []):
            kinds = volume.keys() - {"name", "emptyDir", "secret", "configMap", "projected"}
            if kinds:
                yield f"{pod.where}: volume {volume['name']} is a {', '.join(kinds)}"
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            yield from _contained(f"{pod.where}/{container['name']}", container)


def _contained(where: str, container: Doc) -> Iterator[str]:
    context = container.get("securityContext") or {}
    wanted = {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for key, value in wanted.items():
        if context.get(key) != value:
            yield f"{where}: {key} is {context.get(key)}, not {value}"
    if context.get("privileged"):
        yield f"{where}: privileged"
    if "memory" not in container.get("resources", {}).get("limits", {}):
        yield f"{where}: no limit of memory"


def images(rendered: Rendered) -> Iterator[str]:
    for pod in pods.of(rendered):
        for container in [*pod.spec.get("initContainers", []), *pod.spec["containers"]]:
            pinned = "@sha256:" in container["image"]
            if rendered.environment != "dev" and not pinned:
                yield f"{pod.where}/{container['name']}: {container['image']} has no digest"


def probes(rendered: Rendered) -> Iterator[str]:
    for pod in pods.of(rendered):
        for container in pod.spec["containers"] if pod.role != "job" else []:
            if container["name"] == "autoscaler":
                continue  # KubeRay's own, with no place for probes
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe not in container:
                    yield f"{pod.where}/{container['name']}: no {probe}"
        if pod.role == "worker":
            ready = pod.spec["containers"][0].get("readinessProbe", {}).get("httpGet", {})
            serves = pod.component == pods.SERVING
            if serves and (ready.get("path"), ready.get("port")) != ("/-/healthz", "serve"):
                yield f"{pod.where}: readiness does not ask the proxy"
            if not serves and ready.get("port") == "serve":
                yield f"{pod.where}: waits for a proxy that nobody starts"


def drain(rendered: Rendered) -> Iterator[str]:
    for pod in pods.of(rendered):
        if pod.role != "worker":
            continue
        hook = pod.spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {})
        command = hook.get("command", [])
        if "/opt/ecap/drain.py" not in command:
            yield f"{pod.where}: no drain before it ends"
            continue
        grace = pod.spec["terminationGracePeriodSeconds"]
        if not int(command[-1]) < grace:
            yield f"{pod.where}: is killed after {grace} s, while it may drain for {command[-1]} s"
        if grace > 120 and pod.group == "spot":
            yield f"{pod.where}: spot gives 120 s, not {grace}"


def serving_path(rendered: Rendered) -> Iterator[str]:
    if not rendered.one("RayService")["spec"].get("excludeHeadPodFromServeSvc"):
        yield "the head is an endpoint of the service"
    if rendered.cluster["headGroupSpec"]["rayStartParams"].get("num-cpus") != "0":
        yield "the head has CPUs for replicas"
    for doc in rendered.docs:
        cluster = cluster_of(doc) if str(doc["apiVersion"]).startswith("ray.io/") else None
        if cluster and (cluster.get("authOptions") or {}).get("mode") != "token":
            yield f"{doc['kind']}: Ray asks for no token"


def scheduling(rendered: Rendered) -> Iterator[str]:
    """Head off spot; spot workers where spot is; every worker spread."""
    taint = SPOT_SCHEDULING["tolerations"][0]["key"]
    for pod in pods.of(rendered):
        keys = {one.get("key") for one in pod.spec.get("tolerations", [])}
        if pod.role == "head" and taint in keys:
            yield f"{pod.where}: the head tolerates spot"
        if pod.group == "spot" and taint not in keys:
            yield f"{pod.where}: does not tolerate {taint}"
        if pod.group == "spot" and pod.spec.get("nodeSelector") != SPOT_SCHEDULING["nodeSelector"]:
            yield f"{pod.where}: is not on spot nodes"
        spread = {one["topologyKey"] for one in pod.spec.get("topologySpreadConstraints", [])}
        if pod.role == "worker" and len(spread) < 2:
            yield f"{pod.where}: not spread over hosts and zones"
        if pod.role != "job" and not pod.spec.get("priorityClassName"):
            yield f"{pod.where}: no priority class"


def disruption(rendered: Rendered) -> Iterator[str]:
    workers = [group["template"] for group in rendered.cluster["workerGroupSpecs"]]
    labels = [template["metadata"]["labels"] for template in workers]
    least = sum(g["minReplicas"] for g in rendered.cluster["workerGroupSpecs"])
    budgets = rendered.kind("PodDisruptionBudget")
    if least > 1 and not budgets:
        yield f"{least} workers, and all may be evicted at once"
    for budget in budgets:
        spec = budget["spec"]
        if "maxUnavailable" in spec:
            yield "maxUnavailable needs a scale subresource, which RayCluster has not"
        if spec.get("minAvailable", 0) >= least:
            yield f"minAvailable {spec.get('minAvailable')} of {least}: no node can be drained"
        wanted = spec["selector"]["matchLabels"].items()
        if not all(wanted <= found.items() for found in labels):
            yield "the budget does not select the workers"


def serve_config(rendered: Rendered) -> Iterator[str]:
    applications = rendered.serve["applications"]
    for key in ("name", "route_prefix"):
        found = [app[key] for app in applications if app.get(key)]
        if len(set(found)) < len(found):
            yield f"{key} is used twice: {found}"
    if len(applications) != 9:
        yield f"{len(applications)} applications, not eight services and the keeper"
    most = rendered.cluster["workerGroupSpecs"]
    cpus = sum(int(g["rayStartParams"]["num-cpus"]) * g["maxReplicas"] for g in most)
    wanted = sum(
        one["autoscaling_config"]["max_replicas"] * one["ray_actor_options"]["num_cpus"]
        for app in applications
        for one in app.get("deployments", [])
    )
    if wanted > cpus:
        yield f"replicas at their most want {wanted:.1f} CPUs, workers have {cpus}"


CHECKS: dict[str, Check] = {
    one.__name__.replace("_", "-"): one
    for one in (
        ray_schema, core_schema, ray_rules, fault_tolerance, pod_security, images, probes, drain,
        serving_path, scheduling, disruption, serve_config,
    )
}  # fmt: skip
