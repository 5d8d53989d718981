"""Faults planted on purpose, each with the check that has to notice it.

`DOCS` change what was rendered for production; `VALUES` are values that the schema or a
template has to refuse, with a word of the refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chart import Rendered

Plant = Callable[[Rendered], object]


def _worker(r: Rendered) -> dict[str, Any]:
    spec: dict[str, Any] = r.cluster["workerGroupSpecs"][-1]["template"]["spec"]
    return spec


def _ray(r: Rendered) -> dict[str, Any]:
    found: dict[str, Any] = _worker(r)["containers"][0]
    return found


def _volume(r: Rendered, name: str) -> dict[str, Any]:
    (found,) = [one for one in _worker(r)["volumes"] if one["name"] == name]
    return found


def _token(r: Rendered) -> dict[str, Any]:
    found: dict[str, Any] = _volume(r, "vault-token")["projected"]["sources"][0]
    return found["serviceAccountToken"]


def _policy(r: Rendered, name: str) -> dict[str, Any]:
    found: dict[str, Any] = r.one("NetworkPolicy", f"ecap-{name}")["spec"]
    return found


def _rules(r: Rendered, role: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = r.one("Role", f"ecap-{role}")["rules"]
    return found


def rule(r: Rendered, alert: str) -> dict[str, Any]:
    rules: list[dict[str, Any]] = r.one("PrometheusRule")["spec"]["groups"][0]["rules"]
    (found,) = [one for one in rules if one["alert"] == alert]
    return found


def _says(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    """Changes the expression of a rule."""

    def plant(found: dict[str, Any]) -> None:
        assert old in found["expr"], f"{found['alert']} no longer says {old}: plant it anew"
        found["expr"] = found["expr"].replace(old, new)

    return plant


DOCS: dict[str, tuple[str, Plant]] = {
    "a misspelt field of the RayService": (
        "ray-schema", lambda r: r.cluster.update(rayVersions="2")),
    "a number of replicas in words": (
        "ray-schema", lambda r: r.cluster["workerGroupSpecs"][0].update(minReplicas="two")),
    "a misspelt field of a pod": ("core-schema", lambda r: _worker(r).update(nodeSelectors={})),
    "fewer replicas than the least": (
        "ray-rules", lambda r: r.cluster["workerGroupSpecs"][0].update(replicas=0)),
    "pods that restart under autoscaler v2": (
        "ray-rules", lambda r: _worker(r).update(restartPolicy="Always")),
    "Redis without TLS": (
        "fault-tolerance",
        lambda r: r.cluster["gcsFaultToleranceOptions"].update(redisAddress="redis://c:6379")),
    "a privileged container": (
        "pod-security", lambda r: _ray(r)["securityContext"].update(privileged=True)),
    "a root file system that can be written": (
        "pod-security", lambda r: _ray(r)["securityContext"].update(readOnlyRootFilesystem=False)),
    "a folder of the host": (
        "pod-security",
        lambda r: _worker(r)["volumes"].append({"name": "h", "hostPath": {"path": "/"}})),
    "no limit of memory": ("pod-security", lambda r: _ray(r)["resources"].pop("limits")),
    "an image by tag": ("images", lambda r: _ray(r).update(image="registry.example/ecap:1")),
    "no readiness probe": ("probes", lambda r: _ray(r).pop("readinessProbe")),
    "readiness that only asks Ray": (
        "probes", lambda r: _ray(r)["readinessProbe"]["httpGet"].update(path="/api/healthz")),
    "no drain": ("drain", lambda r: _ray(r).pop("lifecycle")),
    "killed while it drains": (
        "drain", lambda r: _worker(r).update(terminationGracePeriodSeconds=30)),
    "the head serves": (
        "serving-path", lambda r: r.one("RayService")["spec"].pop("excludeHeadPodFromServeSvc")),
    "Ray without a token": ("serving-path", lambda r: r.cluster.pop("authOptions")),
    "spot that is not tolerated": ("scheduling", lambda r: _worker(r).pop("tolerations")),
    "workers on one node": ("scheduling", lambda r: _worker(r).pop("topologySpreadConstraints")),
    "a service account nobody makes": (
        "accounts", lambda r: _worker(r).update(serviceAccountName="default")),
    "a role that reads secrets": (
        "accounts",
        lambda r: r.one("Role", "ecap-jobs")["rules"][1]["resources"].append("secrets")),
    "a budget that counts by scale": (
        "disruption",
        lambda r: r.one("PodDisruptionBudget", "ecap-workers")["spec"].update(maxUnavailable=1)),
    "a budget that lets nobody go": (
        "disruption",
        lambda r: r.one("PodDisruptionBudget", "ecap-workers")["spec"].update(minAvailable=3)),
    "two applications on one route": (
        "serve-config",
        lambda r: r.one("RayService")["spec"].update(
            serveConfigV2=r.one("RayService")["spec"]["serveConfigV2"].replace(
                "/api/v1/orders", "/api/v1/users"))),
    "a password in the settings": (
        "secrets",
        lambda r: r.one("RayService")["spec"].update(
            serveConfigV2=r.one("RayService")["spec"]["serveConfigV2"].replace(
                "file:/vault/secrets/postgres-password", "hunter2"))),
    "a secret that is not injected": (
        "secrets",
        lambda r: r.cluster["workerGroupSpecs"][-1]["template"]["metadata"]["annotations"].pop(
            "vault.hashicorp.com/agent-inject-secret-mesh-service-key")),
    "no default deny": (
        "network", lambda r: _policy(r, "deny").update(ingress=[{"from": [{"podSelector": {}}]}])),
    "anybody may connect": (
        "network", lambda r: _policy(r, "workers")["ingress"][0].pop("from")),
    "a port that nobody listens on": (
        "network", lambda r: _policy(r, "workers")["ingress"][0]["ports"][0].update(port=8001)),
    "no way to the database": (
        "network", lambda r: _policy(r, "to-database")["egress"][0]["ports"][0].update(port=5433)),
    "no way to the broker of IAM": (
        "network", lambda r: _policy(r, "to-kafka")["egress"][0]["ports"][0].update(port=9096)),
    "no way to the credentials of IAM": (
        "network", lambda r: _policy(r, "to-identity")["egress"][0]["ports"][0].update(port=443)),
    "a source of settings that may write": (
        "config-source", lambda r: _rules(r, "config")[0]["verbs"].append("update")),
    "a source of settings that cannot watch": (
        "config-source", lambda r: _rules(r, "config")[0]["verbs"].remove("watch")),
    "settings bound to the head": (
        "config-source",
        lambda r: r.one("RoleBinding", "ecap-config")["subjects"][0].update(name="ecap-head")),
    "settings of another namespace": (
        "config-source",
        lambda r: r.one("Role", "ecap-config")["metadata"].update(namespace="ecap")),
    "settings that no token gets": (
        "accounts", lambda r: _worker(r).update(automountServiceAccountToken=False)),
    "the metadata service within reach": (
        "network", lambda r: _policy(r, "to-https")["egress"][0]["to"][0]["ipBlock"].pop("except")),
    "no TLS": ("ingress", lambda r: r.one("Ingress")["spec"].pop("tls")),
    "an alert on a metric that is not there": (
        "alerts", lambda r: rule(r, "EcapStreamLag").update(expr="max(ecap_stream_lag) > 1")),
    "an alert that does not parse": (
        "alerts", lambda r: rule(r, "EcapErrors").update(expr="sum(rate(")),
    "an alert by a label that is not there": (
        "alerts",
        lambda r: rule(r, "EcapDeadLetters").update(
            expr="sum by (shard) (ecap_dead_letters_total) > 0")),
    "an alert without a runbook": (
        "alerts",
        lambda r: rule(r, "EcapErrors")["annotations"].update(runbook_url="https://x/Nobody.md")),
    "a monitor of a port that is not there": (
        "monitored",
        lambda r: r.one("PodMonitor")["spec"]["podMetricsEndpoints"][0].update(port="web")),
}  # fmt: skip

# As DOCS, where ECAP reads Vault itself.
BY_ECAP: dict[str, tuple[str, Plant]] = {
    "a token that nobody projects": (
        "vault-login",
        lambda r: _worker(r)["volumes"].remove(_volume(r, "vault-token"))),
    "a token for anybody": ("vault-login", lambda r: _token(r).pop("audience")),
    "a token for a day": ("vault-login", lambda r: _token(r).update(expirationSeconds=86400)),
}  # fmt: skip

# All planted together, one to an alert; each has to be found by what that alert does to the series.
ALERTS: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "an alert that looks the other way": ("EcapStreamLag", _says("> 10000", "< 10000")),
    "an alert on answers that are never given": ("EcapErrors", _says("5..", "6..")),
    "a quantile without its buckets": ("EcapSlow", _says("(service, le)", "(service)")),
    "a lag counted twice": (
        "EcapOutboxStuck", _says("max by (schema) (", "2 * sum by (schema) (")),
    "an alert blind to the first event": (
        "EcapDeadLetters", lambda found: found.update(expr=found["expr"].split(" or ")[0])),
    "an alert that waits for ever": ("EcapBreakerOpen", lambda found: found.update({"for": "10h"})),
    "an alert that does not wait": ("EcapDatabaseWait", lambda found: found.update({"for": "0m"})),
    "words that name nobody": (
        "EcapTwoOwners",
        lambda found: found["annotations"].update(summary="{{ $labels.shard }} again")),
}  # fmt: skip

VALUES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "an unknown value": ("production", "additional", {"replicas": 3}),
    "an unknown environment": ("dev", "environment", {"environment": "test"}),
    "production by tag": ("production", "digest", {"image": {"digest": None, "tag": "1"}}),
    "the tag latest": ("dev", "tag", {"image": {"tag": "latest"}}),
    "production without Redis": ("production", "cache", {"platform": {"cache": None}}),
    "production without a way in": ("production", "kind", {"ingress": {"kind": "none"}}),
    "a secret as a value": ("dev", "postgres.password", {"settings": {"postgres.password": "x"}}),
    "a service that is not one": ("dev", "services", {"services": {"order": {"minReplicas": 2}}}),
    "a memory of words": (
        "dev", "memory", {"head": {"resources": {"limits": {"memory": "a lot"}}}}),
    "a schedule of four fields": (
        "dev", "schedule", {"jobs": {"rfm": {"schedule": "0 3 * *", "entrypoint": "x"}}}),
    "more least than most": (
        "production", "minReplicas", {"services": {"orders": {"minReplicas": 50}}}),
    "a budget that lets nobody go": ("production", "drained", {"disruption": {"minAvailable": 3}}),
    "a drain longer than its grace": ("production", "grace", {"drain": {"deadlineSeconds": 100}}),
    "IAM without a region": ("production", "region", {"platform": {"kafka": {"region": None}}}),
    "settings beside ECAP's own Secrets": (
        "dev", "configSource", {"configSource": {"enabled": True, "namespace": "ecap"}}),
    "no address of the database": (
        "production", "database", {"platform": {"database": {"address": ""}}}),
}  # fmt: skip

# Values whose change must roll what runs, and build no second cluster.
IN_PLACE: dict[str, dict[str, Any]] = {
    "replicas of a service": {"services": {"orders": {"minReplicas": 4, "maxReplicas": 12}}},
    "a setting": {"settings": {"orders.currency": "EUR", "log.level": "DEBUG"}},
    "the number of workers": {"workers": {"minReplicas": 4, "maxReplicas": 9}},
    "tolerations": {"scheduling": {"spot": {"tolerations": []}}},
    "the budget, the alerts, the way in": {
        "disruption": {"minAvailable": 1},
        "monitoring": {"thresholds": {"lagEvents": 5}},
        "ingress": {"host": "other.example"},
    },
    "the address of the database": {"platform": {"database": {"address": "other.example"}}},
    "how long the old cluster stays": {"upgrade": {"deletionDelaySeconds": 10}},
}
SECOND_CLUSTER: dict[str, dict[str, Any]] = {
    "another image": {"image": {"digest": "sha256:" + "1" * 64}},
    "more memory": {"workers": {"resources": {"limits": {"memory": "16Gi"}}}},
    "another proxy": {"proxy": {"threads": 8}},
}
