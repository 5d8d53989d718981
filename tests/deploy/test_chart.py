"""What the chart gives ECAP, read by ECAP. The chart's own checks are in `make infra`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ecap.config import load

ROOT = Path(__file__).parents[2]
CHECK = ROOT / "deploy" / "kuberay" / "tests" / "check.py"
# An environment of its own keeps Helm and the schemas of Kubernetes out of ours.
PYTHON = ROOT / ".venv-infra" / "tools" / "bin" / "python"
NAMES = {"dev": "development", "staging": "staging", "production": "production"}


@pytest.mark.parametrize("environment", NAMES)
def test_ecap_accepts_what_the_chart_sets(environment: str) -> None:
    if not PYTHON.exists():
        pytest.skip("needs Helm: `make infra` brings it")
    done = subprocess.run(
        [PYTHON, str(CHECK), "--settings", environment], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    environ = json.loads(done.stdout)
    settings = load({**environ, "ECAP_ENVIRONMENT": NAMES[environment]}, secrets=False)
    assert settings.postgres.host == "db.example"
    assert (settings.keyring.source, settings.keyring.file is None) != ("file", True)
    assert settings.keyring.source != "none"
    assert settings.mesh.service_key is not None
    if environment == "dev":
        assert settings.kafka.security_protocol == "PLAINTEXT"
    else:
        assert settings.kafka.sasl_mechanism == "OAUTHBEARER"
        assert settings.kafka.security_protocol == "SASL_SSL"
        assert settings.kafka.aws_region == "us-east-1"
