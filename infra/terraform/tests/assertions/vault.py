"""Whom Vault lets in, and to what, is whom the chart sends, and for what."""

import fnmatch
import re
from collections.abc import Iterator
from typing import Any

from plans import Plan

Documents = dict[str, list[dict[str, Any]]]
ANNOTATION = "vault.hashicorp.com/"
SECRET = re.compile(re.escape(ANNOTATION) + "agent-inject-secret-")


def check(vault: Plan | None, found: Documents) -> Iterator[tuple[str, str]]:
    pods = [(p, a) for p, a in logging_in(found) if f"{ANNOTATION}role" in a]
    if vault is None:
        if pods:
            yield "vault", "pods log in to Vault, and no root tells it of them"
        return
    mounts = {m.values["path"] for m in vault.resources("vault_auth_backend")}
    roles = {
        r.values["role_name"]: r.values
        for r in vault.resources("vault_kubernetes_auth_backend_role")
    }
    for account, annotations in pods:
        mount = annotations[f"{ANNOTATION}auth-path"].removeprefix("auth/")
        if mount not in mounts:
            yield account, f"logs in at {mount}, and Vault has {sorted(mounts)}"
        name = annotations[f"{ANNOTATION}role"]
        role = roles.get(name)
        if role is None:
            yield account, f"logs in as {name}, and Vault has {sorted(roles)}"
            continue
        if account not in role["bound_service_account_names"]:
            yield account, f"is not bound to the role {name}"
        if role["bound_service_account_namespaces"] != ["ecap"]:
            yield name, f"is of {role['bound_service_account_namespaces']}"
        readable = paths(vault, role["token_policies"])
        for key, path in annotations.items():
            if SECRET.match(key) and not any(fnmatch.fnmatch(path, p) for p in readable):
                yield account, f"may not read {path}"
    for name in sorted(roles.keys() - {a[f"{ANNOTATION}role"] for _, a in pods}):
        yield name, "is a role that no pod logs in as"


def logging_in(found: Documents) -> Iterator[tuple[str, dict[str, str]]]:
    """Service accounts of pods with their annotations."""
    templates = [job["spec"]["template"] for job in found.get("Job", [])]
    for service in found.get("RayService", []):
        cluster = service["spec"]["rayClusterConfig"]
        templates += [group["template"] for group in cluster["workerGroupSpecs"]]
    for template in templates:
        annotations = template["metadata"].get("annotations") or {}
        yield template["spec"]["serviceAccountName"], annotations


def paths(vault: Plan, names: list[str]) -> list[str]:
    """What the policies let a token read."""
    texts = [
        p.values["policy"] for p in vault.resources("vault_policy") if p.values["name"] in names
    ]
    return [
        path
        for text in texts
        for path, body in re.findall(r'path "([^"]+)" \{([^}]*)\}', text)
        if '"read"' in body
    ]
