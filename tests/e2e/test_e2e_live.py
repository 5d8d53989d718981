"""Settings of the whole system changed under load: each takes effect, no request fails."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from e2e.configuring import Operator
from e2e.people import Person, hire
from e2e.system import System, until

URL = "/api/v1/catalog/products"
PLENTY = {"limits.address.rate_per_s": 100_000, "limits.address.burst": 100_000}
CHANGES: dict[str, Any] = {
    "postgres.pool_max_size": 3,
    "postgres.statement_timeout_s": 8.0,
    "http.request_timeout_s": 25.0,
    "limits.lease_s": 1.0,
    "mesh.default.max_concurrency": 100,
    "fraud.deny_score": 85,
    "notifications.concurrency": 4,
    "stream.batch_max_events": 1500,
    "log.level": "WARNING",
}
SCALE = "services.catalog.min_replicas"
DELAY = "services.catalog.downscale_delay_s"


@pytest.fixture(scope="module")
async def operator(admin: Person) -> AsyncIterator[Operator]:
    operator = Operator(await hire(admin, "operator"))
    for key, value in PLENTY.items():
        await done(operator, key, value)
    yield operator
    await operator.unset(*PLENTY, *CHANGES, SCALE, DELAY)


async def done(operator: Operator, key: str, value: Any) -> None:
    answer = await operator.set(key, value)
    assert answer.status_code == 200, answer.text
    assert answer.json()["behind"] == []


@asynccontextmanager
async def load(door: httpx.AsyncClient, answers: Counter[Any]) -> AsyncIterator[None]:
    stop = False

    async def visitor() -> None:
        while not stop:
            try:
                answers[(await door.get(URL, params={"limit": 2})).status_code] += 1
            except httpx.HTTPError as exc:
                answers[repr(exc)] += 1
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(visitor(), name=f"visitor-{number}")
        try:
            yield
        finally:
            stop = True


async def test_no_request_fails_for_a_change(door: httpx.AsyncClient, operator: Operator) -> None:
    answers: Counter[Any] = Counter()
    async with load(door, answers):
        for key, value in CHANGES.items():
            enough = answers.total() + 20
            await done(operator, key, value)
            while answers.total() < enough:  # noqa: ASYNC110  the load decides
                await asyncio.sleep(0.01)
    assert set(answers) == {200}, answers


async def test_autoscaling_changes_in_place(
    system: System, door: httpx.AsyncClient, operator: Operator
) -> None:
    answers: Counter[Any] = Counter()
    others = {name: system.replicas(name) for name in ("orders", "gateway")}
    before = system.replicas("catalog")
    assert len(before) == 1
    async with load(door, answers):
        await done(operator, SCALE, 2)

        async def two() -> bool:
            return len(system.replicas("catalog")) == 2

        await until(two, what="a second replica")
        enough = answers.total() + 100
        while answers.total() < enough:  # noqa: ASYNC110  the load decides
            await asyncio.sleep(0.01)
    assert set(answers) == {200}, answers
    assert before < system.replicas("catalog"), "the first replica was replaced"
    await done(operator, DELAY, 0.5)
    await done(operator, SCALE, 1)

    async def one() -> bool:
        return len(system.replicas("catalog")) == 1

    await until(one, what="one replica again")
    assert {name: system.replicas(name) for name in others} == others


async def test_bounds_that_contradict_are_refused(operator: Operator) -> None:
    answer = await operator.set(SCALE, 1000)
    assert answer.status_code == 409, answer.text
    assert "services.catalog.max_replicas" in answer.json()["detail"]


async def test_thresholds_that_contradict_are_refused(operator: Operator) -> None:
    answer = await operator.set("fraud.review_score", 99)
    assert answer.status_code == 409, answer.text
    assert "fraud.review_score (99) is above fraud.deny_score" in answer.json()["detail"]
