"""What AWS lets through, what Kubernetes lets through, and what listens: one port a flow."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from assertions.ports import FLOWS, flows
from plans import Plan

Documents = dict[str, list[dict[str, Any]]]
# Flow between security groups, the NetworkPolicy beside it, the setting with the address.
OUTWARD = [
    ("nodes-to-postgresql", "ecap-to-database"),
    ("nodes-to-kafka", "ecap-to-kafka"),
    ("nodes-to-valkey", "ecap-to-cache"),
]


def ports(platform: Plan, found: Documents) -> Iterator[tuple[str, str]]:
    groups = flows(platform, FLOWS[0])
    policies = {d["metadata"]["name"]: d["spec"] for d in found.get("NetworkPolicy", [])}
    asked = addressed(found)
    in_cluster = not platform.resources("aws_msk_cluster", "aws_msk_serverless_cluster")
    if in_cluster:
        groups["nodes-to-kafka"] = kafka_in_cluster(found)
        yield from kafka_listens(found, policies)
    for flow, policy in OUTWARD:
        if flow not in asked:
            continue  # dev has no cache
        opened = outward(policies.get(policy, {}))
        if opened != {groups[flow]}:
            yield policy, f"lets out to {sorted(opened)}, but {flow} is {groups[flow]}"
        if asked[flow] != {groups[flow]}:
            yield policy, f"ECAP asks for {sorted(asked[flow])}, but {flow} is {groups[flow]}"
    serve = {p["containerPort"] for p in container_ports(found) if p.get("name") == "serve"}
    wanted = groups["load-balancer-to-serve"]
    if serve != {wanted}:
        yield "workers", f"listen on {sorted(serve)}, but load-balancer-to-serve is {wanted}"
    for entry in found.get("Ingress", []):
        for rule in entry["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                number = path["backend"]["service"]["port"]["number"]
                if number != wanted:
                    yield "Ingress", f"goes to {number}, but load-balancer-to-serve is {wanted}"
        admitted = inward(policies.get("ecap-workers", {}))
        if wanted not in admitted:
            yield "ecap-workers", f"lets in {sorted(admitted)}, not {wanted} of the load balancer"


def addressed(found: Documents) -> dict[str, set[int]]:
    """Ports of the addresses that ECAP is given, by flow."""
    (settings,) = (
        d["data"] for d in found["ConfigMap"] if d["metadata"]["name"] == "ecap-settings"
    )
    servers = settings["ECAP__KAFKA__BOOTSTRAP_SERVERS"].split(",")
    asked = {
        "nodes-to-postgresql": {int(settings["ECAP__POSTGRES__PORT"])},
        "nodes-to-kafka": {int(server.rsplit(":", 1)[1]) for server in servers},
    }
    for service in found["RayService"]:
        options = service["spec"]["rayClusterConfig"].get("gcsFaultToleranceOptions")
        if options:
            asked["nodes-to-valkey"] = {urlsplit(options["redisAddress"]).port or 0}
    return asked


def outward(policy: dict[str, Any]) -> set[int]:
    return {p["port"] for rule in policy.get("egress", []) for p in rule.get("ports", [])}


def inward(policy: dict[str, Any]) -> set[int]:
    return {p["port"] for rule in policy.get("ingress", []) for p in rule.get("ports", [])}


def container_ports(found: Documents) -> Iterator[dict[str, Any]]:
    for service in found.get("RayService", []):
        for group in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
            for container in group["template"]["spec"]["containers"]:
                yield from container.get("ports", [])


def kafka_in_cluster(found: Documents) -> int:
    (server,) = found["StatefulSet"]
    (port,) = server["spec"]["template"]["spec"]["containers"][0]["ports"]
    return int(port["containerPort"])


def kafka_listens(found: Documents, policies: dict[str, Any]) -> Iterator[tuple[str, str]]:
    port = kafka_in_cluster(found)
    admitted = inward(policies.get("kafka", {}))
    if admitted != {port}:
        yield "kafka", f"lets in {sorted(admitted)}, but listens on {port}"
    for service in found["Service"]:
        published = {p["port"] for p in service["spec"]["ports"]}
        if service["metadata"]["name"] == "kafka" and published != {port}:
            yield "kafka", f"its Service publishes {sorted(published)}, but it listens on {port}"


def identities(platform: Plan, found: Documents) -> Iterator[tuple[str, str]]:
    """Roles of AWS go to service accounts that the chart makes, and pods run as them."""
    made = {d["metadata"]["name"] for d in found.get("ServiceAccount", [])}
    associated = {
        a.values["service_account"]
        for a in platform.resources("aws_eks_pod_identity_association")
        if a.values["namespace"] == "ecap"
    }
    for account in sorted(associated - made):
        yield account, "has a role of AWS, and the chart makes no such service account"
    by_iam = any('"OAUTHBEARER"' in json.dumps(d) for d in found["ConfigMap"])
    for service in found["RayService"] if by_iam else []:
        for group in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
            account = group["template"]["spec"]["serviceAccountName"]
            if account not in associated:
                yield account, "logs in to MSK by IAM and has no role of AWS"
