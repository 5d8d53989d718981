"""Checks by other people's tools."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pods
import yaml
from chart import ENVIRONMENTS, JOB, ROOT, Rendered

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
            found = Rendered.of(environment, jobs=JOB)
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
