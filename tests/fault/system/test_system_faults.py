"""Parts of the whole system are killed under a load of orders: nothing lost, nothing twice."""

from __future__ import annotations

import signal
from random import Random
from typing import Any

import httpx
import psutil
import pytest
from e2e.people import Person, register
from e2e.system import System, until
from fault.system.load import Load, Loading

from ecap.clients.postgres import Pool
from ecap.demo.shoppers.shelf import Shelf

_UNSCORED = "SELECT count(*) FROM orders.orders WHERE user_id = ANY($1) AND $2 = ANY(reasons)"
_UNAVAILABLE = "fraud_unavailable"


async def another(system: System, name: str, than: int) -> int:
    async def found() -> int | None:
        pid = await system.actor(name)
        return pid if pid != than else None

    return int(await until(found, what=f"another process for {name}"))


async def test_a_replica_of_orders_is_killed(system: System, loading: Loading) -> None:
    async with loading() as load:
        before = system.replicas("orders")
        assert before
        for pid in before:
            system.kill(pid)
        await until(lambda: system.replicas("orders") - before, what="another replica")
        await load.more(15)
    await system.metrics()
    samples = system.state.run / "metrics"
    assert list(samples.glob("gauge_live*"))
    assert not [pid for pid in before if list(samples.glob(f"gauge_live*_{pid}.db"))]


@pytest.mark.parametrize("name", ["relay", "streams-0"])
async def test_an_actor_is_killed(system: System, loading: Loading, name: str) -> None:
    async with loading() as load:
        for _ in range(2):
            pid = await until(lambda: system.actor(name))
            system.kill(pid)
            await load.more(10)
            await another(system, name, than=pid)
        await load.more(5)


async def test_the_fraud_shard_is_killed(system: System, loading: Loading, books: Pool) -> None:
    async def unscored(load: Load) -> int:
        return int(await books.fetchval(_UNSCORED, load.users, _UNAVAILABLE))

    async with loading() as load:
        pid = await until(lambda: system.actor("fraud-0"))
        system.kill(pid)
        await load.more(5)
        pid = await another(system, "fraud-0", than=pid)
        # It may be back before anybody's patience ends; from one that hangs nobody hears.
        system.kill(pid, signal.SIGSTOP)
        await until(lambda: unscored(load), what="an order without a score")
        system.kill(pid)
        await another(system, "fraud-0", than=pid)
        await until(lambda: _scored_again(books, load), what="orders are scored again")
        await load.more(10)
    query = """SELECT count(*) FILTER (WHERE o.decision = 'approve' AND NOT d.scored_live),
                      count(*) FILTER (WHERE o.decision <> 'review' AND $2 = ANY(o.reasons)),
                      count(*) FILTER (WHERE NOT d.scored_live)
               FROM orders.orders o JOIN fraud.decisions d ON d.transaction_id = o.id
               WHERE o.user_id = ANY($1)"""
    row = await books.fetchrow(query, load.users, _UNAVAILABLE)
    assert row is not None
    approved_unscored, not_reviewed, without = row
    assert (approved_unscored, not_reviewed) == (0, 0)
    assert without == await unscored(load) > 0


async def _scored_again(books: Pool, load: Load) -> bool:
    query = "SELECT reasons FROM orders.orders WHERE user_id = ANY($1) ORDER BY placed_at DESC"
    return _UNAVAILABLE not in await books.fetchval(query, load.users)


async def test_the_ledger_of_limits_and_the_supervisor_are_killed(
    system: System, loading: Loading
) -> None:
    async with loading() as load:
        before = await system.pids()
        (supervisor,) = system.supervisor()
        system.kill(supervisor)
        assert len(await system.services()) == 8
        limits = before["actor limits"]
        assert limits is not None
        system.kill(limits)
        await load.more(10)
        await another(system, "limits", than=limits)
        await until(lambda: system.supervisor() - {supervisor}, what="another supervisor")
        await load.more(5)
    # The new supervisor adopts what it finds running.
    after = await until(lambda: _all_known(system), what="what the supervisor watches")
    for name in ("actor relay", "actor fraud-0", "actor streams-0"):
        assert after[name] == before[name], name


async def _all_known(system: System) -> dict[str, int | None] | None:
    found = await system.pids()
    known = {"actor limits", "actor relay", "actor fraud-0", "actor streams-0"} <= found.keys()
    return found if known and all(found.values()) else None


async def test_the_broker_is_away_and_comes_back_empty(
    system: System, loading: Loading, books: Pool
) -> None:
    pending = """SELECT count(*) FROM orders.outbox o
                 LEFT JOIN stream.topic_log t USING (topic, partition)
                 WHERE o.pos IS NULL OR o.pos >= t.sent_pos"""
    async with loading() as load:
        before = await system.pids()
        with system.unattended():
            system.kill(system.server("kafka"))
            await load.more(15)
            assert await books.fetchval(pending) >= 10
            status, readiness = await until(lambda: _degraded(system), what="degraded readiness")
            assert status == 200
            assert "kafka" in readiness["checks"]["broker"]
        await load.more(10)
    assert await books.fetchval(pending) == 0
    assert await system.pids() == before


async def _degraded(system: System) -> tuple[int, Any] | None:
    found = await system.readiness()
    return found if found[1].get("status") == "degraded" else None


async def test_postgresql_is_away_for_a_while(
    system: System, loading: Loading, door: httpx.AsyncClient, shelf: Shelf
) -> None:
    who = await register(door, "Noor Kaya")
    async with loading() as load:
        before = await system.pids()
        with system.unattended():
            postmaster = psutil.Process(system.server("postgres"))
            system.kill(postmaster.pid, signal.SIGINT)
            await until(lambda: _ended(postmaster), what="the end of PostgreSQL")
            await _everybody_says_when_to_return(door, who, shelf)
            status, problem = await until(lambda: _red(system), what="red readiness")
            assert status == 503
            assert problem["type"] == "urn:ecap:problem:unavailable"
            assert "postgres" in problem["detail"]
            assert problem["checks"]["postgres"] != "ok"
        await load.more(15)
    assert load.trouble
    assert await system.pids() == before


def _ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def _red(system: System) -> tuple[int, Any] | None:
    found = await system.readiness()
    return found if found[0] == 503 else None


async def _everybody_says_when_to_return(
    door: httpx.AsyncClient, who: Person, shelf: Shelf
) -> None:
    goods = shelf.usual(Random(1), below_minor=50_00)
    answers = [
        await door.get("/api/v1/catalog/products"),
        await who.order(goods, "while PostgreSQL is away"),
        await who.ask("GET", "/api/v1/orders"),
        await who.ask("GET", "/api/v1/users/me"),
        await who.ask("GET", "/api/v1/notifications"),
        await who.ask("GET", "/api/v1/auth/me"),
    ]
    for answer in answers:
        assert answer.status_code == 503, (answer.url, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["status"] == 503
