"""Everything that can be known of deploy/ without a cluster.

    .venv-infra/tools/bin/python deploy/kuberay/tests/check.py [--only NAME]

`make infra` makes that environment, and runs this. Exit code 1 when a check finds something, or
a planted fault goes unnoticed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import access
import alerts
import assertions
import evaluated
import faults
import helm_python
import outside
import yaml
from chart import CHART, ENVIRONMENTS, JOB, SPOT_SCHEDULING, Rendered, merged, render, values
from upgrade import cluster_hash

ON_RENDERED = {**assertions.CHECKS, **access.CHECKS, **alerts.CHECKS}
_SOURCE = {"enabled": True, "namespace": "ecap-config"}
_TO_VAULT = {"to": [{"namespaceSelector": {}}], "port": 8200, "from": ["ray", "jobs", "migrate"]}
_RUN = {"name": "rfm", "entrypoint": "python -m job"}


def lint() -> Iterator[str]:
    for environment in ENVIRONMENTS:
        report = helm_python.lint(CHART, values(environment), strict=True)
        for message in report["messages"]:
            if message["severity"] >= 2:
                yield f"{environment}: {message['path']}: {message['error']}"


def rendered() -> Iterator[str]:
    """Three environments with all that is optional, through every check."""
    for environment in ENVIRONMENTS:
        variants: dict[str, dict[str, Any]] = {
            environment: {},
            f"{environment} with jobs": {"jobs": JOB, "run": _RUN},
            f"{environment} with a Gateway": {"ingress": {
                "kind": "gateway", "host": "a.example", "tlsSecret": "cert"}},
            f"{environment} with secrets of Kubernetes": {"secrets": {"source": "kubernetes"}},
            f"{environment} with settings of Kubernetes": {"configSource": _SOURCE},
            f"{environment} with secrets read by ECAP": {
                "secrets": {"source": "vault"}, "vault": {"address": "http://v.vault.svc:8200"},
                "network": {"egress": {"vault": _TO_VAULT}}},
            f"{environment} with Kafka by password": {
                "platform": {"kafka": {"security": "SCRAM"}}},
        }  # fmt: skip
        for name, extra in variants.items():
            found = Rendered.of(environment, **extra)
            for check, run in ON_RENDERED.items():
                for finding in run(found):
                    yield f"{name}: {check}: {finding}"


def kafka_dev() -> Iterator[str]:
    """The broker of development: the checks that do not ask for Ray."""
    chart = CHART.parent / "kafka-dev"
    for extra in ({}, {"storage": "8Gi"}):
        found = Rendered("dev", render({**SPOT_SCHEDULING, **extra}, chart=chart))
        for check in ("core-schema", "pod-security", "probes"):
            for finding in ON_RENDERED[check](found):
                yield f"{check}: {finding}"


def settings(environment: str) -> str:
    """What the pods are given, as JSON, for whoever can read it as ECAP does."""
    env = Rendered.of(environment).one("ConfigMap", "ecap-settings")["data"]
    return json.dumps(env)


def refused() -> Iterator[str]:
    for name, (environment, word, extra) in faults.VALUES.items():
        try:
            render(merged(values(environment), extra))
        except helm_python.HelmError as exc:
            if word not in str(exc):
                yield f"{name}: refused without saying {word!r}: {str(exc)[-200:]}"
        else:
            yield f"{name}: accepted"


def planted() -> Iterator[str]:
    for base, found in (
        (Rendered.of("production", jobs=JOB, configSource=_SOURCE), faults.DOCS),
        (Rendered.of("production", secrets={"source": "vault"}), faults.BY_ECAP),
    ):
        for name, (check, plant) in found.items():
            broken = base.copy()
            plant(broken)
            if not set(ON_RENDERED[check](broken)) - set(ON_RENDERED[check](base)):
                yield f"{name}: unnoticed by {check}"


def alerts_fire() -> Iterator[str]:
    """Over sample series; and the check bites."""
    if not shutil.which("promtool"):
        raise outside.Skipped("promtool")
    whole = Rendered.of("production")
    for finding in evaluated.evaluated(whole):
        yield f"not as alert_series.yaml says: {finding}"
    broken = whole.copy()
    for alert, plant in faults.ALERTS.values():
        plant(faults.rule(broken, alert))
    found = " ".join(evaluated.evaluated(broken))
    for name, (alert, _) in faults.ALERTS.items():
        if alert not in found:
            yield f"{name}: unnoticed, found only {found}"


def upgrades() -> Iterator[str]:
    before = cluster_hash(Rendered.of("production").cluster)
    for name, extra in faults.IN_PLACE.items():
        if cluster_hash(Rendered.of("production", **extra).cluster) != before:
            yield f"{name}: builds a second cluster"
    for name, extra in faults.SECOND_CLUSTER.items():
        if cluster_hash(Rendered.of("production", **extra).cluster) == before:
            yield f"{name}: reaches no pod"
    yield from _upgrade_notices_checksum()


def _upgrade_notices_checksum() -> Iterator[str]:
    """The classic mistake, a checksum of the configuration on the pods, has to show here."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder) / "ecap"
        shutil.copytree(CHART, chart)
        pods_file = chart / "templates" / "_pods.tpl"
        mark = "karpenter.sh/do-not-disrupt:"
        checksum = 'checksum/config: {{ include "ecap.serveConfig" $root | sha256sum }}'
        pods_file.write_text(pods_file.read_text().replace(mark, f"{checksum}\n    {mark}", 1))
        extra = faults.IN_PLACE["a setting"]
        hashes = {
            cluster_hash(Rendered("production", render(given, chart=chart)).cluster)
            for given in (values("production"), values("production", **extra))
        }
    if len(hashes) == 1:
        yield "a checksum of the configuration on the pods goes unnoticed"


def documented() -> Iterator[str]:
    """Every top-level value has its `# --`."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if line[:1].isalpha() and not lines[number - 1].startswith("#"):
            yield f"values.yaml: {line.split(':')[0]} is not described"
    schema = json.loads((CHART / "values.schema.json").read_text())
    missing = yaml.safe_load("\n".join(lines)).keys() ^ (schema["properties"].keys() - {"global"})
    if missing:
        yield f"in only one of values.yaml and its schema: {sorted(missing)}"


STEPS: dict[str, Callable[[], Iterator[str]]] = {
    one.__name__: one
    for one in (
        lint,
        documented,
        rendered,
        kafka_dev,
        refused,
        planted,
        alerts_fire,
        upgrades,
        outside.dockerfile,
        outside.checkov,
    )
}


def run(only: str | None = None) -> int:
    bad = 0
    for name, step in STEPS.items():
        if only and name != only:
            continue
        begin = time.perf_counter()
        try:
            found = list(step())
        except outside.Skipped as exc:
            print(f"SKIPPED {name}: {exc} is not installed")
            continue
        bad += len(found)
        for finding in found:
            print(f"  {name}: {finding}")
        state = "FAILED " if found else "ok     "
        print(f"{state} {name} ({time.perf_counter() - begin:.1f} s)")
    planted = len(faults.DOCS) + len(faults.BY_ECAP) + len(faults.ALERTS)
    print(
        f"{len(ON_RENDERED)} checks of what is rendered, {planted} planted faults,"
        f" {len(faults.VALUES)} refused values, {bad} findings"
    )
    return bad > 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=STEPS)
    parser.add_argument("--settings", choices=ENVIRONMENTS, help="print them and end")
    arguments = parser.parse_args()
    if arguments.settings:
        sys.exit(print(settings(arguments.settings)))
    sys.exit(run(arguments.only))
