"""Everything that can be known of deploy/ without a cluster.

    pip install -r deploy/kuberay/tests/requirements.txt
    python deploy/kuberay/tests/check.py [--only NAME]

Exit code 1 when a check finds something, or a planted fault goes unnoticed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import alerts
import assertions
import faults
import helm_python
import pods
import yaml
from chart import CHART, ENVIRONMENTS, ROOT, SPOT_SCHEDULING, Rendered, merged, render, values
from upgrade import cluster_hash

ON_RENDERED = {**assertions.CHECKS, **alerts.CHECKS}
_JOB = {"rfm": {"schedule": "0 3 * * *", "entrypoint": "python -m job", "workers": 2}}
_SOURCE = {"enabled": True, "namespace": "ecap-config"}
_TO_VAULT = {"to": [{"namespaceSelector": {}}], "port": 8200, "from": ["ray", "jobs", "migrate"]}
_RUN = {"name": "rfm", "entrypoint": "python -m job"}
# What checkov finds and why it stays.
_CHECKOV_SKIPS = {
    "CKV_K8S_11": "no CPU limit: throttled replicas miss deadlines; num-cpus bounds them",
    "CKV_K8S_43": "dev runs by tag; staging and production are held to digests by `images`",
    "CKV_K8S_15": "images are by digest, so pulling always changes nothing",
    "CKV_K8S_38": "the head's autoscaler and Vault's agent log in with the token",
    "CKV_K8S_35": "no secret is in the environment",
    "CKV_K8S_8": "the autoscaler is KubeRay's container, with no place for probes",
    "CKV_K8S_9": "as above",
}


class Skipped(Exception):
    """A tool is missing; says which."""


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
            f"{environment} with jobs": {"jobs": _JOB, "run": _RUN},
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
    whole = Rendered.of("production", jobs=_JOB, configSource=_SOURCE)
    for name, (check, plant) in faults.DOCS.items():
        broken = whole.copy()
        plant(broken)
        if not set(ON_RENDERED[check](broken)) - set(ON_RENDERED[check](whole)):
            yield f"{name}: unnoticed by {check}"


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


def dockerfile() -> Iterator[str]:
    hadolint = shutil.which(
        "hadolint", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin"
    )
    if not hadolint:
        raise Skipped("hadolint")
    for path in sorted((ROOT / "deploy").rglob("Dockerfile")):
        found = subprocess.run([hadolint, "-f", "json", str(path)], capture_output=True, text=True)
        for one in json.loads(found.stdout or "[]"):
            yield f"{path.name}:{one['line']}: {one['code']} {one['message']}"
        text = path.read_text()
        if not text.rsplit("USER ", 1)[-1].startswith("10001"):
            yield f"{path.name}: does not end as an ordinary user"


def checkov() -> Iterator[str]:
    program = shutil.which("checkov")
    if not program:
        raise Skipped("checkov (pip install checkov in an environment of its own)")
    with tempfile.TemporaryDirectory() as folder:
        for environment in ENVIRONMENTS:
            found = Rendered.of(environment, jobs=_JOB)
            docs = [pod.manifest() for pod in pods.of(found)]
            docs += [doc for doc in found.docs if not doc["apiVersion"].startswith("ray.io/")]
            Path(folder, f"{environment}.yaml").write_text(yaml.safe_dump_all(docs))
        done = subprocess.run(
            [program, "-d", folder, "--framework", "kubernetes", "--quiet", "--compact",
             "-o", "json", "--skip-download", "--skip-check", ",".join(_CHECKOV_SKIPS)],
            capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": folder},
        )  # fmt: skip
    try:
        report = json.loads(done.stdout)
    except ValueError:
        yield f"checkov says no JSON: {done.stderr[-300:]}"
        return
    if not report.get("summary", {}).get("passed"):
        yield "checkov looked at nothing"
    for one in report.get("results", {}).get("failed_checks", []):
        yield f"{one['check_id']} {one['check_name']}: {one['resource']} in {one['file_path']}"


STEPS: dict[str, Callable[[], Iterator[str]]] = {
    one.__name__: one
    for one in (
        lint,
        documented,
        rendered,
        kafka_dev,
        refused,
        planted,
        upgrades,
        dockerfile,
        checkov,
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
        except Skipped as exc:
            print(f"SKIPPED {name}: {exc} is not installed")
            continue
        bad += len(found)
        for finding in found:
            print(f"  {name}: {finding}")
        state = "FAILED " if found else "ok     "
        print(f"{state} {name} ({time.perf_counter() - begin:.1f} s)")
    print(
        f"{len(ON_RENDERED)} checks of what is rendered, {len(faults.DOCS)} planted faults,"
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
