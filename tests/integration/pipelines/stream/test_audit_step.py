"""The security log, from the outboxes to its table."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from integration.pipelines.stream.receivers import until
from integration.pipelines.stream.steps import run
from stream_servers import World

from ecap.actors.relay.relay import OutboxRelay
from ecap.actors.stream.pipeline import Record
from ecap.actors.stream.shard import Shard
from ecap.clients import audit as clients_audit
from ecap.clients.audit import Producer
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.config.settings.audit import Audit
from ecap.domain.events.audit import AuditEntry
from ecap.domain.events.envelope import new_event
from ecap.domain.values.ids import new_id
from ecap.pipelines.stream.audit.pipeline import build
from ecap.pipelines.stream.audit.purge import Purge

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PRODUCERS: tuple[Producer, ...] = ("auth", "config", "stream")


def entry(**changes: Any) -> AuditEntry:
    facts = {
        "action": "account.changed",
        "outcome": "done",
        "actor": str(new_id()),
        "actor_kind": "user",
        "details": {"roles": {"from": ["customer"], "to": ["admin"]}},
    }
    return AuditEntry(**{**facts, **changes})


def record(payload: AuditEntry) -> Record:
    return Record("audit-auth", 0, 0, new_event(payload, key="k", producer="auth", now=NOW))


async def add(pool: Pool, settings: Settings, actor: str) -> None:
    await run(pool, build(settings), None, [record(entry(actor=actor))])


async def test_an_entry_becomes_one_row_and_stays_as_it_is(pool: Pool, settings: Settings) -> None:
    told = record(entry(subject="s", address="192.0.2.1", request_id="r"))
    pipeline = build(settings)
    await run(pool, pipeline, None, [told, told])
    await run(pool, pipeline, None, [told])
    row = await pool.fetchrow("SELECT * FROM audit.entries WHERE id = $1", told.event.id)
    assert row is not None
    found = dict(row)
    assert found.pop("recorded_at") > NOW
    payload = told.event.payload
    assert isinstance(payload, AuditEntry)
    assert json.loads(found.pop("details")) == payload.details
    assert found == {
        "id": told.event.id,
        "at": NOW,
        "source": "auth",
        "action": "account.changed",
        "outcome": "done",
        "actor": payload.actor,
        "actor_kind": "user",
        "subject": "s",
        "address": "192.0.2.1",
        "request_id": "r",
    }


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.entries SET actor = 'eve'",
        "DELETE FROM audit.entries",
        "TRUNCATE audit.entries",
        "INSERT INTO audit.entries SELECT * FROM audit.entries ON CONFLICT (id) DO UPDATE"
        " SET actor = 'eve'",
    ],
)
async def test_nobody_changes_it(pool: Pool, settings: Settings, statement: str) -> None:
    await add(pool, settings, "ann")
    with pytest.raises(Exception, match="append-only"):
        await pool.execute(statement)


async def test_what_was_kept_for_long_enough_goes(pool: Pool, settings: Settings) -> None:
    actors = ["young", "month", "old"]
    ages = [timedelta(0), timedelta(days=35), timedelta(days=401)]
    for actor, age in zip(actors, ages, strict=True):
        await pool.execute(
            """INSERT INTO audit.entries VALUES
               ($1, now(), now() - $2::interval, 'auth', 'login', 'done', $3, 'user', '', '', '',
                '{}')
            """,
            new_id(),
            age,
            f"purge-{actor}",
        )
    purge = Purge(Audit(), pool)

    async def left() -> set[str]:
        rows = await pool.fetch("SELECT actor FROM audit.entries WHERE actor LIKE 'purge-%'")
        return {row["actor"].removeprefix("purge-") for row in rows}

    assert await purge.purge(datetime.now(UTC)) == 1
    assert await left() == {"young", "month"}
    purge.reconfigure(Audit(retention_s=30 * 86400))
    assert await purge.purge(datetime.now(UTC)) == 1
    assert await left() == {"young"}


async def test_every_producer_arrives_once_over_restarts(world: World) -> None:
    """Through relay, broker and shard, which are replaced in the middle."""
    pool, settings = world.pool, world.settings()
    told = 0
    for restart in range(3):
        relay = OutboxRelay(settings)
        shard = Shard(settings, [build(settings)], member="audit")
        await relay.start()
        await shard.start()
        try:
            for producer in PRODUCERS:
                async with pool.transaction() as conn:
                    some = [entry(subject=str(n)) for n in range(50)]
                    await clients_audit.tell(conn, producer, *some, now=NOW)
                told += len(some)
            if restart == 2:
                await until(pool, "SELECT count(*) FROM audit.entries", told, within_s=30)
        finally:
            await shard.stop()
            await relay.stop()
    rows = await pool.fetch("SELECT source, count(*) AS n FROM audit.entries GROUP BY source")
    assert {row["source"]: row["n"] for row in rows} == dict.fromkeys(PRODUCERS, 150)
    assert await pool.fetchval("SELECT count(*) FROM stream.dead_letters") == 0
