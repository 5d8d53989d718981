"""Whose access has ended, from PostgreSQL to what one replica remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from ecap.clients.migrations import migrate
from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings
from ecap.domain.values.ids import new_id
from ecap.errors import Unavailable
from ecap.mesh import ANONYMOUS, Principal
from ecap.serve.edge.revocations import (
    LONGEST_ACCESS,
    LONGEST_SKEW,
    Revocations,
    end_account,
    end_session,
)

NOW = datetime.now(UTC)


class Clock:
    """Seconds since `NOW`, for both kinds of time."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def wall(self) -> float:
        return NOW.timestamp() + self.passed_s

    def monotonic(self) -> float:
        return self.passed_s


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with open_pool(settings.postgres, service="tests") as opened:
        await migrate(opened)
        await opened.execute("DELETE FROM access.revocations")
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replica(clock: Clock) -> Revocations:
    return Revocations(clock=clock.wall, monotonic=clock.monotonic)


def somebody(*, epoch: int = 1) -> Principal:
    return Principal(str(new_id()), "user", session=str(new_id()), epoch=epoch)


async def end_access(pool: Pool, who: Principal, *, epoch: int, now: datetime = NOW) -> None:
    async with pool.transaction() as conn:
        await end_account(conn, who.subject, epoch=epoch, now=now)


async def log_out(pool: Pool, who: Principal, *, until: datetime, now: datetime = NOW) -> None:
    async with pool.transaction() as conn:
        await end_session(conn, str(who.session), access_until=until, now=now)


async def test_an_account_ends_below_its_epoch(pool: Pool, replica: Revocations) -> None:
    who, other = somebody(epoch=4), somebody(epoch=4)
    await replica.hear(pool)
    assert not replica.has_ended(who)
    await end_access(pool, who, epoch=5)
    await replica.hear(pool)
    assert replica.has_ended(who)
    assert not replica.has_ended(other)
    again = Principal(who.subject, "user", session=who.session, epoch=5)
    assert not replica.has_ended(again)
    # Tokens of a release that knew no epochs.
    assert replica.has_ended(Principal(who.subject, "user"))


async def test_a_session_ends_alone(pool: Pool, replica: Revocations) -> None:
    who = somebody()
    await log_out(pool, who, until=NOW + timedelta(minutes=15))
    await replica.hear(pool)
    assert replica.has_ended(who)
    assert not replica.has_ended(Principal(who.subject, "user", session=str(new_id()), epoch=1))
    assert not replica.has_ended(ANONYMOUS)


async def test_one_that_starts_later_hears_all(pool: Pool, clock: Clock) -> None:
    gone = [somebody() for _ in range(3)]
    for who in gone:
        await end_access(pool, who, epoch=2)
    late = Revocations(clock=clock.wall, monotonic=clock.monotonic)
    await late.hear(pool)
    assert all(late.has_ended(who) for who in gone)


async def test_what_no_token_can_need_is_forgotten(
    pool: Pool, replica: Revocations, clock: Clock
) -> None:
    access = timedelta(minutes=15)
    await replica.hear(pool)
    before = len(replica)
    gone = [somebody() for _ in range(20)]
    for who in gone:
        await log_out(pool, who, until=NOW + access)
    await end_access(pool, gone[0], epoch=2)
    await replica.hear(pool)
    assert len(replica) == before + 21
    clock.passed_s = (access + LONGEST_SKEW).total_seconds() + 1
    await replica.hear(pool)
    assert replica.has_ended(gone[0])
    assert not replica.has_ended(gone[1])
    clock.passed_s = (LONGEST_ACCESS + LONGEST_SKEW).total_seconds() + 1
    await replica.hear(pool)
    assert len(replica) == 0
    # The table as well, at the next end of anything.
    much_later = NOW + LONGEST_ACCESS + LONGEST_SKEW + timedelta(seconds=1)
    await end_access(pool, somebody(), epoch=2, now=much_later)
    subjects = [who.subject for who in gone]
    kept = await pool.fetchval(
        "SELECT count(*) FROM access.revocations WHERE subject = ANY ($1)", subjects
    )
    assert kept == 0


async def test_a_session_whose_tokens_have_expired_needs_no_entry(
    pool: Pool, replica: Revocations
) -> None:
    who = somebody()
    await log_out(pool, who, until=NOW - LONGEST_SKEW)
    await replica.hear(pool)
    assert not replica.has_ended(who)


async def test_none_is_missed_that_commits_late(pool: Pool, replica: Revocations) -> None:
    """Numbers are given before the commit: a reader must not pass over one under way."""
    slow, quick = somebody(), somebody()
    written = asyncio.Event()

    async def dawdle() -> None:
        async with pool.transaction() as conn:
            await end_account(conn, slow.subject, epoch=2, now=NOW)
            written.set()
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as group:
        group.create_task(dawdle(), name="slow")
        await written.wait()
        hurried = group.create_task(end_access(pool, quick, epoch=2), name="quick")
        while not hurried.done():
            await replica.hear(pool)
            await asyncio.sleep(0.01)
    await replica.hear(pool)
    assert replica.has_ended(slow)
    assert replica.has_ended(quick)


async def test_more_than_one_batch(pool: Pool, replica: Revocations) -> None:
    crowd = [somebody() for _ in range(2100)]
    async with pool.transaction() as conn:
        await conn.executemany(
            "INSERT INTO access.revocations (subject, epoch, until) VALUES ($1, 2, $2)",
            [(who.subject, NOW + LONGEST_ACCESS) for who in crowd],
        )
    await replica.hear(pool)
    assert all(replica.has_ended(who) for who in crowd)


async def test_a_database_of_an_earlier_time(pool: Pool, replica: Revocations) -> None:
    """Its numbers and its epochs start again from what they were."""
    who, after = somebody(epoch=2), somebody()
    await end_access(pool, who, epoch=3)
    await replica.hear(pool)
    assert replica.has_ended(who)
    newest = await pool.fetchval("SELECT last_value FROM access.revocations_seq_seq")
    try:
        await pool.execute("DELETE FROM access.revocations WHERE subject = $1", who.subject)
        await pool.execute("SELECT setval('access.revocations_seq_seq', $1)", newest - 1)
        await replica.hear(pool)
        assert not replica.has_ended(who)
        await end_access(pool, after, epoch=2)
        await replica.hear(pool)
        assert replica.has_ended(after)
    finally:
        await pool.execute("SELECT setval('access.revocations_seq_seq', $1)", newest + 100)


async def test_who_never_heard_lets_nobody_in(
    pool: Pool, replica: Revocations, clock: Clock
) -> None:
    who = somebody()
    with pytest.raises(Unavailable):
        replica.require(who)
    replica.require(Principal("scraper", "service"))
    await replica.hear(pool)
    replica.require(who)
    clock.passed_s += 11
    replica.require(who)
    with pytest.raises(Unavailable):
        replica.require(who, trust_s=10)
    await replica.hear(pool)
    replica.require(who, trust_s=10)


async def test_waits_for_the_end_of_one(pool: Pool, replica: Revocations) -> None:
    who, other = somebody(), somebody()
    waiting = asyncio.create_task(replica.end_of(who), name="waiting")
    await log_out(pool, other, until=NOW + LONGEST_ACCESS)
    await replica.hear(pool)
    await asyncio.sleep(0)
    assert not waiting.done()
    await log_out(pool, who, until=NOW + LONGEST_ACCESS)
    await replica.hear(pool)
    async with asyncio.timeout(1):
        await waiting


async def test_asks_again_after_whatever_went_wrong(
    pool: Pool, replica: Revocations, clock: Clock
) -> None:
    """A table that is not there yet is no reason to stop asking."""
    who = somebody()
    task = asyncio.create_task(replica.run(pool, poll_s=lambda: 0.02), name="revocations")
    try:
        await pool.execute("ALTER TABLE access.revocations RENAME TO away")
        await replica.tried()
        await asyncio.sleep(0.1)
        await pool.execute("ALTER TABLE access.away RENAME TO revocations")
        await log_out(pool, who, until=NOW + LONGEST_ACCESS)
        async with asyncio.timeout(5):
            await replica.end_of(who)
    finally:
        task.cancel()
        await asyncio.wait({task})
