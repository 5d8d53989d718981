"""Encrypting again in PostgreSQL: stopped anywhere, it goes on and nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ecap.clients.migrations import migrate
from ecap.clients.postgres import Pool, open_pool
from ecap.clients.rotation import ColumnEntries, PostgresProgress
from ecap.config import Settings
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.rotation import Step, renew
from ecap.errors import Misconfigured

COUNT = 450


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with open_pool(settings.postgres, service="test") as opened:
        await migrate(opened)
        await opened.execute("DELETE FROM config.states")
        await opened.execute("DELETE FROM config.renewals")
        yield opened
        await opened.execute("DELETE FROM config.states")


async def fill(pool: Pool, ring: Keyring) -> None:
    rows = [(number, ring.seal(str(number).encode())) for number in range(COUNT)]
    async with pool.connection() as conn:
        await conn.executemany("INSERT INTO config.states VALUES ($1, $2)", rows)


def states(pool: Pool) -> ColumnEntries:
    """Without a look inside: these hold numbers."""
    return ColumnEntries(
        pool, table="config.states", key="version", key_type="bigint", column="sealed"
    )


async def check(pool: Pool, ring: Keyring) -> None:
    rows = await pool.fetch("SELECT version, sealed FROM config.states")
    assert len(rows) == COUNT
    for row in rows:
        assert ring.open(row["sealed"], where="x") == str(row["version"]).encode()


async def test_stopped_anywhere_it_goes_on(pool: Pool) -> None:
    old = Keyring([new_key(now=0)])
    await fill(pool, old)
    both = old.add(now=1)
    both = both.promote(both.keys[1].id)
    steps: list[Step] = []

    def stop_after_two(step: Step) -> None:
        steps.append(step)
        if len(steps) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await renew([states(pool)], both, PostgresProgress(pool), report=stop_after_two)
    await check(pool, both)
    resumed: list[Step] = []
    total = await renew([states(pool)], both, PostgresProgress(pool), report=resumed.append)
    assert total == COUNT - 400
    assert [(step.seen, step.finished) for step in resumed] == [(50, True)]
    await check(pool, both.retire(old.primary.id))
    assert await renew([states(pool)], both, PostgresProgress(pool)) == 0


async def test_a_value_no_key_opens_stops_it_with_its_place(pool: Pool) -> None:
    await fill(pool, Keyring([new_key(now=0)]))
    with pytest.raises(Misconfigured, match=r"config\.states\.sealed of 0: not encrypted"):
        await renew([states(pool)], Keyring([new_key(now=0)]), PostgresProgress(pool))


async def test_a_value_written_meanwhile_is_kept(pool: Pool) -> None:
    old = Keyring([new_key(now=0)])
    await fill(pool, old)
    both = old.add(now=1)
    both = both.promote(both.keys[1].id)
    target = states(pool)

    class Racing(Keyring):
        def renew(self, token: bytes, *, where: str) -> bytes:
            self.seen = where
            return super().renew(token, where=where)

    fresh = both.seal(b"written meanwhile")
    await pool.execute("UPDATE config.states SET sealed = $1 WHERE version = 7", fresh)
    await target.batch(Racing(both.keys), after="", limit=10)
    assert await pool.fetchval("SELECT sealed FROM config.states WHERE version = 7") == fresh
