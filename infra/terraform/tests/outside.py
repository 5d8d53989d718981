"""Checks by other people's tools, where they are installed."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from findings import Finding
from plans import Plan
from trees import TERRAFORM, TESTS


def checkov(plan: Plan) -> list[Finding]:
    """On the plan, which holds values that the code only computes. Skips: see checkov.yaml."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.json"
        file.write_text(json.dumps(plan.body))
        done = subprocess.run(
            [
                str(executable("checkov")),
                "-f",
                str(file),
                "--config-file",
                str(TESTS / "checkov.yaml"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if not done.stdout.strip():
        return [Finding("checkov", plan.name, done.stderr.strip()[-300:] or "said nothing")]
    report = json.loads(done.stdout)
    failed = report.get("results", {}).get("failed_checks", [])
    return [
        Finding("checkov", f"{plan.name}: {c['resource']}", f"{c['check_id']} {c['check_name']}")
        for c in failed
    ]


def executable(name: str) -> Path | None:
    """On the path. Never beside the running Python: checkov's hcl2 would take the place of ours."""
    found = shutil.which(name)
    return Path(found) if found else None


def formatted(tree: Path = TERRAFORM) -> list[Finding]:
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", "-list=true", "."],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    names = re.findall(r"^\S+\.(?:tf|tfvars|hcl)$", done.stdout, re.M)
    return [Finding("fmt", name, "is not formatted: run terraform fmt") for name in names]
