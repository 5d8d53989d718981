"""Configuration of the whole system, as an operator changes it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from e2e.configuring import Operator
from e2e.people import Person, hire
from e2e.system import System, until

from ecap.actors.hub_link import CONFIG
from ecap.local.up import SERVICES
from ecap.runtime import roster

KEY = "orders.max_lines"


@pytest.fixture(scope="module")
async def somebody(admin: Person) -> Operator:
    return Operator(await hire(admin, "operator"))


@pytest.fixture
async def operator(somebody: Operator) -> AsyncIterator[Operator]:
    yield somebody
    await somebody.unset(KEY, "log.level")


def everybody(system: System) -> int:
    # With the supervisor, and whoever deployed the services.
    return len(SERVICES) + len(roster.names(system.settings)) + 2


async def test_every_replica_and_actor_takes_a_change(system: System, operator: Operator) -> None:
    before = await operator.agreed(members=everybody(system))
    answer = await operator.set(KEY, 33)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "version": before + 1, "changed": [KEY], "behind": [], "skipped": []
    }  # fmt: skip
    assert answer.headers["etag"] == f'"{before + 1}"'
    runs = await operator.runs()
    assert set(runs.values()) == {before + 1}
    assert {name for name in roster.names(system.settings) if name != CONFIG} <= runs.keys()
    for service in SERVICES:
        assert any(name.startswith(f"{service}-") for name in runs), service
    found = await operator.get(f"/{KEY}")
    assert (found["value"], found["source"], found["since_version"]) == (33, "override", before + 1)
    assert found["hides"][0]["value"] == system.settings.orders.max_lines


async def test_a_value_that_does_not_fit_changes_nothing(operator: Operator) -> None:
    before = await operator.version()
    answer = await operator.set(KEY, 0)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == KEY
    assert (await operator.set("http.port", 81)).status_code == 409
    assert (await operator.set("postgres.password", "in plain sight")).status_code == 422
    missing = await operator.set("orders.max_line", 1)
    assert missing.status_code == 404
    assert "did you mean orders.max_lines" in missing.json()["detail"]
    assert await operator.version() == before
    assert "in plain sight" not in json.dumps(await operator.newest())


async def test_a_write_names_the_version_it_saw(operator: Operator) -> None:
    body = {"value": 20, "reason": "a test"}
    bare = await operator.ask("PUT", f"/{KEY}", json=body)
    assert bare.status_code == 428
    late = await operator.write("PUT", f"/{KEY}", seen=await operator.version() - 1, json=body)
    assert late.status_code == 412


async def test_the_way_back(operator: Operator) -> None:
    before = await operator.version()
    await operator.set(KEY, 21)
    await operator.set("log.level", "WARNING")
    body = {"version": before, "reason": "as it was"}
    answer = await operator.write("POST", "/rollback", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["changed"] == ["log.level", KEY]
    found = await operator.get("/diff", left=before, right=answer.json()["version"])
    assert found["changes"] == {}


async def test_a_canary_runs_it_first(system: System, operator: Operator) -> None:
    before = await operator.agreed(members=everybody(system))
    canary = {"members": ["limits", "relay"], "bake_s": 1.5}
    change = asyncio.create_task(operator.set(KEY, 22, canary=canary))
    tried: dict[str, int] = await until(lambda: _two_versions(operator))
    assert {name for name, version in tried.items() if version > before} == {"limits", "relay"}
    answer = await change
    assert answer.status_code == 200, answer.text
    assert set((await operator.runs()).values()) == {answer.json()["version"]}


async def _two_versions(operator: Operator) -> dict[str, int] | None:
    runs = await operator.runs()
    counts = [list(runs.values()).count(version) for version in set(runs.values())]
    return runs if len(counts) == 2 and min(counts) == 2 else None


async def test_an_override_ends_by_itself(operator: Operator) -> None:
    answer = await operator.set(KEY, 23, expires_s=0.5)
    assert answer.status_code == 200, answer.text

    async def over() -> bool:
        return bool(await operator.value(KEY) != 23)

    await until(over, what="the end of the override")


async def test_the_command_line(system: System, operator: Operator) -> None:
    done = await asyncio.to_thread(
        system.ecap, "config", "set", KEY, "24", "--reason", "by hand", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["changed"] == [KEY]
    status = await asyncio.to_thread(system.ecap, "config", "status", "--json")
    assert status.returncode == 0, status.stdout
    assert {one["state"] for one in json.loads(status.stdout)["ledger"]} == {"current"}


async def test_readiness_and_metrics_tell(system: System, operator: Operator) -> None:
    _, found = await system.readiness()
    assert {found["checks"][f"configuration {name}"] for name in ("files", "vault")} == {"ok"}
    metrics = await system.metrics()
    version = await operator.version()
    assert f'ecap_config_version{{member="limits"}} {float(version)}' in metrics
    assert 'ecap_config_silence_seconds{member="limits"} 0.0' in metrics
