"""What the chart runs as jobs is there, and understands the arguments it is given."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from ecap.clients.rayjobs import TEMPLATE, submission
from ecap.config.layers import schema
from ecap.config.settings.services.deployments import ServiceName
from ecap.errors import Invalid
from ecap.pipelines.batch.jobs import JOBS, find, parse

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "deploy" / "kuberay" / "tests"
SCHEMA = ROOT / "deploy" / "kuberay" / "ecap" / "values.schema.json"
# An environment of its own keeps Helm and the schemas of Kubernetes out of ours.
PYTHON = ROOT / ".venv-infra" / "tools" / "bin" / "python"
_NIGHT = "0 3 * * *"
_JOBS: dict[str, Any] = {
    "revenue-again": {
        "schedule": _NIGHT,
        "job": "revenue",
        "args": {"since": "2026-01-01T00:00:00+00:00", "slice_events": 500},
    },
    "rescore": {"schedule": _NIGHT, "job": "fraud-rescore", "args": {"travel_kmh": 800.5}},
    "archive": {"schedule": _NIGHT, "job": "archive", "args": {"to": "s3://a/b c & $(d)"}},
    "own": {"schedule": _NIGHT, "entrypoint": "python -m mine"},
}


def asked(script: str, *arguments: Any) -> Any:
    """Of the chart, by the interpreter that has Helm."""
    if not PYTHON.exists():
        pytest.skip("needs Helm: `make infra` brings it")
    lines = ("import json, sys", f"sys.path.insert(0, {str(TESTS)!r})", script)
    done = subprocess.run(
        [PYTHON, "-c", "\n".join(lines)],
        input=json.dumps(arguments), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def rendered() -> Any:
    return asked(
        "from chart import Rendered\n"
        "(jobs,) = json.load(sys.stdin)\n"
        "print(json.dumps({e: Rendered.of(e, jobs=jobs).docs for e in ('dev', 'production')}))",
        _JOBS,
    )


def test_the_schema_knows_the_services() -> None:
    known = json.loads(SCHEMA.read_text())["properties"]["services"]["properties"]
    assert sorted(known) == sorted(get_args(ServiceName))


def test_the_schema_takes_every_setting_that_is_no_secret() -> None:
    """Two end as secrets do, and are names: the chart takes them from the references' place."""
    names = json.loads(SCHEMA.read_text())["properties"]["settings"]["propertyNames"]
    refused = {
        key
        for key, setting in schema.settings().items()
        if "." in key
        and schema.ANY not in key
        and not setting.secret
        and not (re.search(names["pattern"], key) and not re.search(names["not"]["pattern"], key))
    }
    assert refused == {"vault.client_key", "keyring.transit_key"}


def commands(docs: Any) -> dict[str, str]:
    return {
        doc["metadata"]["name"]: doc["spec"]["jobTemplate"]["entrypoint"]
        for doc in docs
        if doc["kind"] == "RayCronJob"
    }


def test_every_entrypoint_is_a_job_with_arguments_it_takes(rendered: Any) -> None:
    found = commands(rendered["production"])
    assert found.keys() == {f"ecap-{name}" for name in _JOBS} | {"ecap-revenue"}
    assert found.pop("ecap-own") == "python -m mine"
    for command in found.values():
        ecap, job, run, name, *arguments = shlex.split(command)
        assert (ecap, job, run) == ("ecap", "job", "run")
        assert set(arguments[::2]) <= {"--arg"}
        parse(find(name), arguments[1::2])
    assert shlex.split(found["ecap-archive"])[-1] == "to=s3://a/b c & $(d)"


def test_entrypoints_run_in_a_shell_as_ray_runs_them(rendered: Any, tmp_path: Path) -> None:
    """As far as to Ray, which is not there."""
    program = tmp_path / "ecap"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ecap.cli.main "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environ |= {"PATH": f"{tmp_path}:/usr/bin:/bin", "ECAP_JOB_LOG": str(tmp_path / "said")}
    command = ["/bin/sh", "-c", commands(rendered["dev"])["ecap-archive"]]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert "RAY_ADDRESS is not set" in done.stderr


def test_what_is_submitted_by_hand_is_what_the_chart_would_run(rendered: Any) -> None:
    docs = rendered["production"]
    (kept,) = [doc for doc in docs if doc["metadata"].get("name") == "ecap-rayjob"]
    template = json.loads(kept["data"][TEMPLATE])
    command = ["ecap", "job", "run", "revenue", "--arg", "out=/tmp/a b"]
    job = submission(template, "revenue", command, workers=7)
    assert shlex.split(job["spec"]["entrypoint"]) == command
    assert job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplicas"] == 7
    (cron,) = [doc for doc in docs if doc["metadata"].get("name") == "ecap-revenue"]
    spec = {**cron["spec"]["jobTemplate"], "entrypoint": job["spec"]["entrypoint"]}
    assert submission(template, "revenue", command, workers=1)["spec"] == spec
    findings = asked(
        "from chart import Rendered\nimport assertions\n"
        "(doc,) = json.load(sys.stdin)\n"
        "print(json.dumps(list(assertions.CHECKS['ray-schema'](Rendered('dev', [doc])))))",
        job,
    )
    assert findings == []
    with pytest.raises(Invalid, match="too long"):
        submission(template, "a" * 40, command, workers=None)


def test_the_schema_knows_the_jobs() -> None:
    job = json.loads(SCHEMA.read_text())["properties"]["jobs"]["additionalProperties"]
    assert sorted(job["properties"]["job"]["enum"]) == sorted(JOBS)


@pytest.mark.parametrize(
    "job",
    [
        {"schedule": _NIGHT},
        {"schedule": _NIGHT, "job": "revenu"},
        {"schedule": _NIGHT, "job": "revenue", "entrypoint": "x"},
        {"schedule": _NIGHT, "job": "revenue", "args": {"since": "'; rm -rf /; '"}},
        {"schedule": _NIGHT, "entrypoint": "x", "args": {"since": "y"}},
        {"job": "revenue"},
    ],
    ids=str,
)
def test_the_schema_refuses(job: dict[str, Any]) -> None:
    refused = asked(
        "import helm_python\nfrom chart import render, values\n"
        "(job,) = json.load(sys.stdin)\n"
        "try:\n    render(values('dev', jobs={'x': job}))\n"
        "except helm_python.HelmError as exc:\n    print(json.dumps(str(exc)))\n"
        "else:\n    print('null')",
        job,
    )
    assert refused is not None
    assert "jobs" in refused
