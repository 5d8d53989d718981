"""The checks of the chart, where their tools are installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecap.config import load

CHECK = Path(__file__).parents[2] / "deploy" / "kuberay" / "tests" / "check.py"
# An environment of its own keeps Helm and the schemas of Kubernetes out of ours.
PYTHON = os.environ.get("ECAP_DEPLOY_PYTHON", sys.executable)
NAMES = {"dev": "development", "staging": "staging", "production": "production"}


@pytest.fixture(autouse=True)
def _tools() -> None:
    tools = "import helm_python, kubernetes_validate, promql_parser"
    if subprocess.run([PYTHON, "-c", tools], capture_output=True).returncode:
        requirements = CHECK.parent / "requirements.txt"
        pytest.skip(f"needs {requirements}; ECAP_DEPLOY_PYTHON names an interpreter that has it")


def checked(*arguments: str) -> str:
    done = subprocess.run([PYTHON, str(CHECK), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_chart() -> None:
    checked()


@pytest.mark.parametrize("environment", NAMES)
def test_ecap_accepts_what_the_chart_sets(environment: str) -> None:
    environ = json.loads(checked("--settings", environment))
    settings = load({**environ, "ECAP_ENVIRONMENT": NAMES[environment]}, secrets=False)
    assert settings.postgres.host == "db.example"
    assert settings.auth.keyring
    assert settings.mesh.service_key is not None
    if environment != "dev":
        assert settings.kafka.sasl_mechanism == "OAUTHBEARER"
        assert settings.kafka.security_protocol == "SASL_SSL"
        assert settings.kafka.aws_region == "us-east-1"
