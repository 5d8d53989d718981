"""Who may do, read and reach what, of a rendered chart. Each function is one check."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pods
from chart import Rendered

_PLAIN_SECRET = re.compile(r"(password|service_key|signing_key|keyring|token|secret_id)$")


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
    """What the hub asks Kubernetes for, where it asks, and no Secret of ECAP's own."""
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


def secrets(rendered: Rendered) -> Iterator[str]:
    """References travel, values never do."""
    for where, env in _settings(rendered):
        for name, value in env.items():
            if _PLAIN_SECRET.search(name.lower()) and not re.match(r"^(\[\")?(file|vault):", value):
                yield f"{where}: {name} is not a reference"
            path = value.removeprefix('["').removesuffix('"]')
            if path.startswith("file:") and not _mounted(rendered, path.removeprefix("file:")):
                yield f"{where}: {name} refers to a file that no pod has"


def vault_login(rendered: Rendered) -> Iterator[str]:
    """Where ECAP reads Vault itself: a short token of the pod, for Vault alone, where it looks."""
    (_, env), *_ = _settings(rendered)
    if "ECAP__VAULT__ADDRESS" not in env:
        return
    if env.get("ECAP__VAULT__AUTH") != "kubernetes":
        yield f"logs in by {env.get('ECAP__VAULT__AUTH')}"
    folder, _, file = env["ECAP__VAULT__JWT_FILE"].rpartition("/")
    for pod in pods.of(rendered):
        if pod.role == "head" or pod.group == "":
            continue
        mounts = {m["mountPath"]: m["name"] for m in pod.spec["containers"][0]["volumeMounts"]}
        volumes = {v["name"]: v for v in pod.spec["volumes"]}
        projected = volumes.get(mounts.get(folder, ""), {}).get("projected", {})
        tokens = [one.get("serviceAccountToken", {}) for one in projected.get("sources", [])]
        (token, *_) = [t for t in tokens if t.get("path") == file] or [{}]
        if not token:
            yield f"{pod.where}: has no token at {folder}/{file}"
        elif token.get("audience") != rendered.values["vault"]["audience"]:
            yield f"{pod.where}: its token is for {token.get('audience')}"
        elif token.get("expirationSeconds", 0) > 3600:
            yield f"{pod.where}: its token lasts {token.get('expirationSeconds')} s"


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


CHECKS: dict[str, Callable[[Rendered], Iterator[str]]] = {
    one.__name__.replace("_", "-"): one
    for one in (accounts, config_source, secrets, vault_login, network, ingress)
}
