"""What has to hold for a rendered chart. Each function is one check, named after what it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pods
import schemas
from chart import SPOT_SCHEDULING, Doc, Rendered, cluster_of
from kubernetes_validate.utils import ValidationError

KUBERNETES = "1.35"
Check = Callable[[Rendered], Iterator[str]]
_OTHERS = {"gateway.networking.k8s.io/v1"}  # no schema of theirs is at hand
_PLAIN_SECRET = re.compile(r"(password|service_key|signing_key|keyring|token|secret_id)$")


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
        try:
            kubernetes_validate.validate(doc, KUBERNETES, strict=True)
        except ValidationError as exc:
            where = ".".join(str(part) for part in exc.path)
            yield f"{doc['kind']}/{doc['metadata']['name']}: {where}: {exc.message[:160]}"


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


def accounts(rendered: Rendered) -> Iterator[str]:
    made = {doc["metadata"]["name"] for doc in rendered.kind("ServiceAccount")}
    for pod in pods.of(rendered):
        account = pod.spec.get("serviceAccountName")
        if account not in made:
            yield f"{pod.where}: the service account {account} is not made here"
        by_agent = rendered.values["secrets"].get("source") == "vault-agent"
        watches = rendered.values["configSource"]["enabled"] and pod.role == "worker"
        needs_token = pod.role == "head" or by_agent or watches
        if pod.spec.get("automountServiceAccountToken") != needs_token:
            yield f"{pod.where}: its token is mounted though nothing in it asks, or the reverse"
    for role in [*rendered.kind("Role"), *rendered.kind("ClusterRole")]:
        for rule in role["rules"]:
            if "*" in rule["verbs"] or "*" in rule["resources"]:
                yield f"{role['kind']}/{role['metadata']['name']}: {rule['resources']}"
            elif "secrets" in rule["resources"] and role["metadata"]["name"] != "ecap-config":
                yield f"{role['kind']}/{role['metadata']['name']}: reads Secrets"


def config_source(rendered: Rendered) -> Iterator[str]:
    """What ecap/config/kubernetes.py asks for, where it asks, and no Secret of ECAP's own."""
    (_, env), *_ = _settings(rendered)
    namespace = env.get("ECAP__KUBERNETES__NAMESPACE")
    roles = {doc["metadata"]["name"]: doc for doc in rendered.kind("Role")}
    bindings = {doc["metadata"]["name"]: doc for doc in rendered.kind("RoleBinding")}
    role, binding = roles.get("ecap-config"), bindings.get("ecap-config")
    if env.get("ECAP__KUBERNETES__ENABLED") != "true":
        if role or binding:
            yield "there is a right to read Secrets that nobody uses"
        return
    if not (role and binding):
        yield "settings come from the API, and nobody may read them"
        return
    granted = {
        (r, verb) for rule in role["rules"] for r in rule["resources"] for verb in rule["verbs"]
    }
    wanted = {(r, verb) for r in ("configmaps", "secrets") for verb in ("get", "list", "watch")}
    if granted != wanted:
        yield f"more or less than is read: {sorted(granted ^ wanted)}"
    if {role["metadata"]["namespace"], binding["metadata"]["namespace"]} != {namespace}:
        yield f"the role is not of {namespace}, where the settings are"
    if namespace == rendered.one("RayService")["metadata"]["namespace"]:
        yield "ECAP's own Secrets are in the same namespace"
    if binding["roleRef"]["name"] != "ecap-config":
        yield f"binds {binding['roleRef']['name']}"
    subjects = {(one["name"], one["namespace"]) for one in binding["subjects"]}
    hubs = {pod.spec["serviceAccountName"] for pod in pods.of(rendered) if pod.role == "worker"}
    if subjects != {(name, "ecap") for name in hubs}:
        yield f"bound to {sorted(subjects)}, while the hub runs as {sorted(hubs)}"
    policies = {doc["metadata"]["name"] for doc in rendered.kind("NetworkPolicy")}
    if "ecap-config" not in policies:
        yield "no way out to the API server"


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


def secrets(rendered: Rendered) -> Iterator[str]:
    """References travel, values never do."""
    for where, env in _settings(rendered):
        for name, value in env.items():
            if _PLAIN_SECRET.search(name.lower()) and not re.match(r"^(\[\")?(file|vault):", value):
                yield f"{where}: {name} is not a reference"
            path = value.removeprefix('["').removesuffix('"]')
            if path.startswith("file:") and not _mounted(rendered, path.removeprefix("file:")):
                yield f"{where}: {name} refers to a file that no pod has"


def _settings(rendered: Rendered) -> Iterator[tuple[str, dict[str, str]]]:
    for app in rendered.serve["applications"]:
        yield app["name"], app["runtime_env"]["env_vars"]
    yield "settings", rendered.one("ConfigMap", "ecap-settings")["data"]
    for job in rendered.kind("Job"):
        env = job["spec"]["template"]["spec"]["containers"][0]["env"]
        yield "migrate", {one["name"]: one["value"] for one in env}


def _mounted(rendered: Rendered, path: str) -> bool:
    for pod in pods.of(rendered):
        if pod.role == "head" or pod.group == "":
            continue
        folders = [m["mountPath"] for m in pod.spec["containers"][0]["volumeMounts"]]
        file = path.rsplit("/", 1)[-1]
        injected = f"vault.hashicorp.com/agent-inject-secret-{file}" in pod.metadata["annotations"]
        by_agent = injected and path.startswith("/vault/secrets/")
        if not by_agent and not any(path.startswith(f"{folder}/") for folder in folders):
            return False
    return True


def network(rendered: Rendered) -> Iterator[str]:
    policies = {doc["metadata"]["name"]: doc["spec"] for doc in rendered.kind("NetworkPolicy")}
    deny = policies.get("ecap-deny", {})
    if deny.keys() - {"podSelector", "policyTypes"} or len(deny.get("policyTypes", [])) != 2:
        yield "nothing denies by default"
    opened = {
        port["containerPort"]
        for pod in pods.of(rendered)
        for container in pod.spec["containers"]
        for port in container.get("ports", [])
    }
    for name, spec in policies.items():
        for rule in spec.get("ingress", []):
            if not rule.get("from"):
                yield f"{name}: from anywhere"
            for port in rule.get("ports", []):
                if port["port"] not in opened:
                    yield f"{name}: port {port['port']} is no container's"
        for rule in spec.get("egress", []):
            for peer in rule.get("to") or [{"ipBlock": {"cidr": "0.0.0.0/0"}}]:
                block = peer.get("ipBlock", {})
                if block.get("cidr") == "0.0.0.0/0" and "169.254.169.254/32" not in block.get(
                    "except", []
                ):
                    yield f"{name}: the nodes' metadata service can be reached"
    yield from _addresses(rendered, policies)


def _addresses(rendered: Rendered, policies: dict[str, Any]) -> Iterator[str]:
    """Each address in the settings has a way out with its port."""
    (_, env), *_ = _settings(rendered)
    wanted = {"database": {int(env["ECAP__POSTGRES__PORT"])}}
    servers = env["ECAP__KAFKA__BOOTSTRAP_SERVERS"].split(",")
    wanted["kafka"] = {int(server.rsplit(":", 1)[1]) for server in servers}
    if rendered.values.get("vault", {}).get("address"):
        wanted["vault"] = {urlsplit(rendered.values["vault"]["address"]).port or 443}
    if env.get("ECAP__KAFKA__SASL_MECHANISM") == "OAUTHBEARER":
        wanted["identity"] = {80}
    if rendered.values["platform"]["cache"]:
        wanted["cache"] = {urlsplit(rendered.values["platform"]["cache"]["url"]).port or 6379}
    for name, numbers in wanted.items():
        rules = policies.get(f"ecap-to-{name}", {}).get("egress", [])
        found = {port["port"] for rule in rules for port in rule["ports"]}
        if not numbers <= found:
            yield f"no way out to {name} on {sorted(numbers)}, only {sorted(found)}"


def ingress(rendered: Rendered) -> Iterator[str]:
    for doc in rendered.kind("Ingress"):
        if not doc["spec"].get("tls"):
            yield "the Ingress has no TLS"
        listen = doc["metadata"]["annotations"].get("alb.ingress.kubernetes.io/listen-ports", "[]")
        if any("HTTP" in one for one in json.loads(listen)):
            yield "the load balancer listens without TLS"
    for doc in rendered.kind("Gateway"):
        if any(one["protocol"] != "HTTPS" for one in doc["spec"]["listeners"]):
            yield "the Gateway listens without TLS"
    if rendered.environment == "production" and not (
        rendered.kind("Ingress") or rendered.kind("Gateway")
    ):
        yield "there is no way in"


CHECKS: dict[str, Check] = {
    one.__name__.replace("_", "-"): one
    for one in (
        ray_schema, core_schema, ray_rules, fault_tolerance, pod_security, images, probes, drain,
        serving_path, scheduling, accounts, config_source, disruption, serve_config, secrets, network, ingress,
    )
}  # fmt: skip
