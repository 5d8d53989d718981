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
