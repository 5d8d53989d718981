"""One suite over both histories: in memory and in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from integration.config.config_tables import emptied

from ecap.clients.config_history import PostgresHistory
from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings
from ecap.config.hub.history import Event, History, MemoryHistory, verify
from ecap.config.hub.hub import Hub
from ecap.config.layers.overrides import Edit
from ecap.config.member.member import Member
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import Stored
from ecap.config.secrets.readers import SecretReaders
from ecap.config.settings.keyring import Keyring as Section
from ecap.domain.events.audit import AuditEntry
from ecap.domain.events.codec import decode
from ecap.errors import Fenced, Misconfigured


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with open_pool(settings.postgres, service="test") as opened:
        await emptied(opened)
        yield opened
        await emptied(opened)


@pytest.fixture(params=["memory", "postgres"])
def history(request: pytest.FixtureRequest, pool: Pool) -> History:
    return MemoryHistory() if request.param == "memory" else PostgresHistory(pool)


def event(version: int) -> Event:
    body = {"changes": {"a.b": {"from": 0.1, "to": 1e-7}}, "text": "ü \u2028 \\u0000"}
    return Event(version, "applied", 1790000000.123456, "ann", "why", body)


async def test_entries_come_back_as_they_were_chained(history: History) -> None:
    assert await history.last() is None
    first = await history.append([event(1)], after=None, state=b"one")
    second = await history.append([event(2)], after=first, state=None)
    assert await history.entries() == [first, second]
    assert await history.entries(after_seq=1, limit=5) == [second]
    assert await history.last() == second
    assert verify(await history.entries()) == 2
    assert await history.state(1) == b"one"
    assert await history.state(2) is None


async def test_several_entries_are_chained_and_the_state_is_of_the_last(history: History) -> None:
    first = await history.append([event(1)], after=None, state=None)
    last = await history.append([event(2), event(3)], after=first, state=b"three")
    entries = await history.entries()
    assert [entry.version for entry in entries] == [1, 2, 3]
    assert entries[-1] == last
    assert verify(entries) == 3
    assert [await history.state(version) for version in (2, 3)] == [None, b"three"]


@pytest.mark.parametrize("late", [[event(3)], [event(3), event(4)]], ids=["one", "two"])
async def test_a_second_writer_is_fenced(history: History, late: list[Event]) -> None:
    first = await history.append([event(1)], after=None, state=None)
    await history.append([event(2)], after=first, state=None)
    with pytest.raises(Fenced):
        await history.append(late, after=first, state=b"lost")
    assert [entry.version for entry in await history.entries()] == [1, 2]
    assert await history.state(late[-1].version) is None


async def test_of_several_entries_all_are_stored_or_none(pool: Pool) -> None:
    """The second collides, so the first must not stay."""
    history = PostgresHistory(pool)
    first = await history.append([event(1)], after=None, state=None)
    second = await history.append([event(2)], after=first, state=None)
    await history.append([event(3)], after=second, state=None)
    async with pool.transaction() as conn:
        await conn.execute("ALTER TABLE config.history DISABLE TRIGGER history_append_only")
        await conn.execute("DELETE FROM config.history WHERE seq = 2")
        await conn.execute("ALTER TABLE config.history ENABLE TRIGGER history_append_only")
    with pytest.raises(Fenced):
        await history.append([event(4), event(5)], after=first, state=None)
    assert [entry.version for entry in await history.entries()] == [1, 3]


async def test_the_table_takes_no_update_and_no_delete(pool: Pool) -> None:
    history = PostgresHistory(pool)
    await history.append([event(1)], after=None, state=None)
    for statement in (
        "UPDATE config.history SET author = 'eve'",
        "DELETE FROM config.history",
        "TRUNCATE config.history",
    ):
        with pytest.raises(Exception, match="append-only"):
            await pool.execute(statement)


async def test_an_alteration_behind_the_trigger_is_seen(pool: Pool) -> None:
    history = PostgresHistory(pool)
    entry = await history.append([event(1)], after=None, state=None)
    await history.append([event(2)], after=entry, state=None)
    async with pool.transaction() as conn:
        await conn.execute("ALTER TABLE config.history DISABLE TRIGGER history_append_only")
        await conn.execute("UPDATE config.history SET author = 'eve' WHERE seq = 1")
        await conn.execute("ALTER TABLE config.history ENABLE TRIGGER history_append_only")
    with pytest.raises(Misconfigured, match="entry 1"):
        verify(await history.entries())


async def test_a_hub_over_postgresql_comes_back(pool: Pool) -> None:
    clock = asyncio.get_running_loop().time
    ring = Keyring([new_key(now=0)])

    async def stored() -> Stored:
        return Stored(ring, "")

    def hub() -> Hub:
        return Hub(
            history=PostgresHistory(pool),
            keys=LiveKeyring(ring, stored, Section(), clock=clock),
            secrets=SecretReaders({}),
            environ={},
            given={},
            boot_id="one",
            clock=clock,
            wall=lambda: 1790000000.0,
        )

    first = hub()
    running = asyncio.create_task(first.run(), name="hub")
    member = Member("m", kind="actor", settings=Settings(), link=first, clock=clock)
    following = asyncio.create_task(member.run(), name="member")
    await member.joined(timeout_s=5)
    outcome = await first.edit(Edit({"fraud.deny_score": 91}), author="ann", reason="test")
    assert member.version == outcome.version
    assert member.settings.fraud.deny_score == 91
    for task in (running, following):
        task.cancel()
    await asyncio.wait({running, following})
    second = hub()
    again = asyncio.create_task(second.run(), name="hub")
    late = Member("late", kind="actor", settings=Settings(), link=second, clock=clock)
    joining = asyncio.create_task(late.run(), name="late")
    await late.joined(timeout_s=5)
    assert late.settings.fraud.deny_score == 91
    for task in (again, joining):
        task.cancel()
    await asyncio.wait({again, joining})


ORIGIN = {"kind": "user", "address": "192.0.2.1", "request_id": "r"}


async def told(pool: Pool) -> list[AuditEntry]:
    rows = await pool.fetch("SELECT topic, body FROM config.outbox ORDER BY seq")
    assert {row["topic"] for row in rows} <= {"audit-config"}
    entries = [decode(bytes(row["body"])).payload for row in rows]
    return [entry for entry in entries if isinstance(entry, AuditEntry)]


@pytest.fixture
async def outbox(pool: Pool) -> Pool:
    await pool.execute("DELETE FROM config.outbox")
    return pool


async def test_what_is_decided_is_in_the_security_log(outbox: Pool) -> None:
    changes = {"fraud.deny_score": {"from": 80, "to": 90}}
    body = {"changes": changes, "origin": ORIGIN}
    history = PostgresHistory(outbox)
    proposed = Event(7, "proposed", 1790000000.5, "an-id", "why", body)
    applied = Event(7, "applied", 1790000000.5, "an-id", "why", body)
    undone = Event(8, "rolled-back", 1790000001.5, "hub", "worse", {"changes": changes})
    await history.append([proposed, applied, undone], after=None, state=b"state")
    first, second = await told(outbox)
    assert first == AuditEntry(
        action="config.changed",
        outcome="done",
        actor="an-id",
        actor_kind="user",
        subject="fraud.deny_score",
        address="192.0.2.1",
        request_id="r",
        details={"version": 7, "entry": 2, "keys": ["fraud.deny_score"], "changes": changes},
    )
    assert (second.action, second.actor, second.actor_kind) == ("config.undone", "hub", "system")


async def test_a_refusal_is_there_without_its_values(outbox: Pool) -> None:
    history = PostgresHistory(outbox)
    edit = {"sets": {"http.port": "hunter2"}, "unsets": ["fraud.deny_score"]}
    why = {"why": "hunter2 is no port"}
    first = await history.append(
        [Event(2, "refused", 1790000000.5, "bob", "hunter2", {"edit": edit, **why})],
        after=None,
        state=None,
    )
    asked = await history.append(
        [Event(3, "proposed", 1790000000.5, "bob", "why not", {"edit": edit})],
        after=first,
        state=None,
    )
    await history.append(
        [Event(3, "refused", 1790000000.5, "bob", "why not", why)], after=asked, state=None
    )
    entries = await told(outbox)
    assert [entry.outcome for entry in entries] == ["refused", "refused"]
    last = await history.last()
    await history.append([Event(4, "booted", 1790000002.5, "hub", "", {})], after=last, state=None)
    assert (await told(outbox))[-1].details == {"version": 4, "entry": 4, "keys": []}
    assert {tuple(e.details["keys"]) for e in entries} == {("fraud.deny_score", "http.port")}
    bodies = await outbox.fetch("SELECT body FROM config.outbox")
    assert not any(b"hunter2" in bytes(row["body"]) for row in bodies)


@pytest.mark.parametrize("value", ["\x00", "x" * 20_000], ids=["a NUL", "much"])
async def test_changes_that_the_log_cannot_keep_are_named(outbox: Pool, value: str) -> None:
    body = {"changes": {"smtp.host": {"to": value}, "auth.admin_email": {"to": "a@b.example"}}}
    await PostgresHistory(outbox).append(
        [Event(1, "applied", 1790000000.5, "ann", "why", body)], after=None, state=None
    )
    (entry,) = await told(outbox)
    assert entry.details["keys"] == ["auth.admin_email", "smtp.host"]
    assert "changes" not in entry.details


async def test_an_administrators_email_stays_out(outbox: Pool) -> None:
    body = {"changes": {"auth.admin_email": {"from": None, "to": "a@b.example"}}}
    await PostgresHistory(outbox).append(
        [Event(1, "applied", 1790000000.5, "ann", "why", body)], after=None, state=None
    )
    assert (await told(outbox))[0].details["changes"] == {"auth.admin_email": "(personal)"}


async def test_who_is_fenced_tells_nothing(outbox: Pool) -> None:
    history = PostgresHistory(outbox)
    first = await history.append([event(1)], after=None, state=None)
    await history.append([event(2)], after=first, state=None)
    before = len(await told(outbox))
    with pytest.raises(Fenced):
        await history.append([event(3)], after=first, state=b"lost")
    assert len(await told(outbox)) == before
