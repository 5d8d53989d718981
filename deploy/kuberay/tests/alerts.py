"""The alert rules: they parse, and speak of metrics and labels that ECAP has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser
from chart import ROOT, Rendered

_DECLARED = re.compile(
    r"= (Counter|Gauge|Histogram)(?:MetricFamily)?"
    r"\(\s*\"(\w+)\",\s*\"[^\"]*\"(?:,\s*(?:labels=)?\[([^\]]*)\])?",
    re.DOTALL,
)
_SUFFIXES = {"Histogram": ("_bucket", "_sum", "_count")}
_SELECTED = re.compile(r"\b(ecap_\w+)(?:\{([^}]*)\})?")
_GROUPED = re.compile(r"by \(([^)]*)\)")


def declared() -> dict[str, set[str]]:
    """Labels by sample name, as ecap/metrics.py declares them; read, not imported."""
    found: dict[str, set[str]] = {}
    for kind, name, labels in _DECLARED.findall((ROOT / "ecap" / "metrics.py").read_text()):
        names = set(re.findall(r'"(\w+)"', labels))
        for suffix in _SUFFIXES.get(kind, ("",)):
            found[name + suffix] = names | ({"le"} if suffix == "_bucket" else set())
    return found


def rules(rendered: Rendered) -> list[dict[str, Any]]:
    return [
        rule
        for doc in rendered.kind("PrometheusRule")
        for group in doc["spec"]["groups"]
        for rule in group["rules"]
    ]


def alerts(rendered: Rendered) -> Iterator[str]:
    known = declared()
    names = [rule["alert"] for rule in rules(rendered)]
    if len(set(names)) < len(names):
        yield f"an alert stands twice: {names}"
    for rule in rules(rendered):
        name, text = rule["alert"], rule["expr"]
        try:
            promql_parser.parse(text)
        except ValueError as exc:
            yield f"{name}: {exc}"
        labels: set[str] = set()
        for metric, matchers in _SELECTED.findall(text):
            if metric not in known:
                yield f"{name}: there is no metric {metric}"
                continue
            labels |= known[metric]
            for label in re.findall(r"(\w+)\s*[=!]", matchers):
                if label not in known[metric]:
                    yield f"{name}: {metric} has no label {label}"
        for group in _GROUPED.findall(text):
            for label in (one.strip() for one in group.split(",")):
                if label not in labels:
                    yield f"{name}: groups by {label}, which its metrics do not have"
        if rule["labels"].get("severity") not in ("critical", "warning"):
            yield f"{name}: severity {rule['labels'].get('severity')}"
        page = rule["annotations"]["runbook_url"].rsplit("/", 1)[1]
        if not (ROOT / "docs" / "runbooks" / page).exists():
            yield f"{name}: docs/runbooks/{page} is missing"


def monitored(rendered: Rendered) -> Iterator[str]:
    """Ports that Prometheus asks are ports that a container has, and the policy opens."""
    ports = {
        port["name"]
        for group in rendered.cluster["workerGroupSpecs"]
        for container in group["template"]["spec"]["containers"]
        for port in container.get("ports", [])
    }
    for monitor in rendered.kind("PodMonitor"):
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            if endpoint["port"] not in ports:
                yield f"no container has a port {endpoint['port']}"


CHECKS = {"alerts": alerts, "monitored": monitored}
