"""The checks of the chart, where their tools are installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "deploy" / "kuberay" / "tests" / "check.py"
# An environment of its own keeps Helm and the schemas of Kubernetes out of ours.
PYTHON = os.environ.get("ECAP_DEPLOY_PYTHON", sys.executable)


def test_the_chart() -> None:
    tools = "import helm_python, kubernetes_validate, promql_parser"
    if subprocess.run([PYTHON, "-c", tools], capture_output=True).returncode:
        requirements = CHECK.parent / "requirements.txt"
        pytest.skip(f"needs {requirements}; ECAP_DEPLOY_PYTHON names an interpreter that has it")
    done = subprocess.run([PYTHON, str(CHECK)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
