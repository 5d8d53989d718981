"""The alert rules on sample series, by promtool: what has to fire does, with the words that an
operator reads, not at once where it waits, and not on the nearest thing that is no trouble."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from chart import Rendered

_SERIES = Path(__file__).with_name("alert_series.yaml")
_ASKED = "25m"


def evaluated(rendered: Rendered) -> Iterator[str]:
    """The names of the tests that failed."""
    cases: dict[str, Any] = yaml.safe_load(_SERIES.read_text())
    groups = [g for doc in rendered.kind("PrometheusRule") for g in doc["spec"]["groups"]]
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    for name in sorted(rules.keys() ^ cases.keys()):
        yield f"{name}: stands only in the rules or only in alert_series.yaml"
    shared = [name for name in cases if name in rules]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
        tests = [test for name in shared for test in _tests(rules[name], cases[name])]
        suite = {"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": tests}
        path = Path(folder, "suite.yaml")
        path.write_text(yaml.safe_dump(suite))
        done = subprocess.run(
            ["promtool", "test", "rules", str(path)], capture_output=True, text=True, timeout=60
        )
    if done.returncode:
        said = re.findall(r"^ +name: (.*?),?$|^ +alertname: (\w+)", done.stdout + done.stderr, re.M)
        found = sorted({one or other for one, other in said})
        for name in found or [(done.stdout + done.stderr).strip()[-300:]]:
            yield name


def _tests(rule: dict[str, Any], case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    name = rule["alert"]
    expected = {
        "exp_labels": {**case["labels"], "severity": rule["labels"]["severity"]},
        "exp_annotations": {**rule["annotations"], "summary": case["summary"]},
    }
    yield _test(f"{name} fires", name, case["fires"], {_ASKED: [expected]})
    yield _test(f"{name} is quiet", name, case["quiet"], {_ASKED: []})
    if not case.get("at_once"):
        yield _test(f"{name} waits", name, case["fires"], {"1m": []})


def _test(
    what: str, alert: str, series: dict[str, str], expected: dict[str, list[Any]]
) -> dict[str, Any]:
    return {
        "name": what,
        "interval": "30s",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "alert_rule_test": [
            {"eval_time": time, "alertname": alert, "exp_alerts": alerts}
            for time, alerts in expected.items()
        ],
    }
