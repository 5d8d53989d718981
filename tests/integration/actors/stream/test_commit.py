"""One transaction, once: whatever becomes of the connection, and whoever came after."""

from __future__ import annotations

import pytest
from integration.actors.counting import Count, Counting, applied, order
from stream_servers import World

from ecap.actors.stream.commit import Batch, Committer, Move
from ecap.actors.stream.leases import Leases, Superseded
from ecap.actors.stream.pipeline import Record
from ecap.errors import Fenced, Unavailable

PLACES = [("transactions", partition) for partition in range(6)]


def leases(world: World, member: str, *, ttl_s: float = 60.0) -> Leases:
    return Leases(world.pool, pipeline="counting", member=member, partitions=PLACES, ttl_s=ttl_s)


async def batch_of(world: World, member: str) -> Batch:
    """One event, by the present owner of the first partition."""
    mine = leases(world, member)
    await mine.join()
    (lease,) = await mine.take(held=[], limit=1)
    record = Record(*lease.place, lease.next_pos, order("user-1", 5))
    batch = Batch(results=[Count(record, 5, 5)])
    batch.moves.append(Move(*lease.place, lease.epoch, lease.next_pos, lease.next_pos + 1, 1))
    return batch


class Cut(Committer):
    """Loses the connection once, before or after the commit has happened."""

    committed = True

    async def _once(self, batch: Batch) -> None:
        cut, self._cut = getattr(self, "_cut", True), False
        if self.committed or not cut:
            await super()._once(batch)
        if cut:
            raise Unavailable("the connection is gone")


@pytest.mark.parametrize("committed", [True, False])
async def test_an_unknown_outcome_is_found_out(world: World, committed: bool) -> None:
    committer = Cut(world.pool, Counting(), member="a")
    committer.committed = committed
    await committer.commit(await batch_of(world, "a"))
    assert await applied(world.pool) == 1
    assert await world.pool.fetchval("SELECT sum(next_pos) FROM stream.partitions") == 1


async def test_the_same_batch_a_second_time_changes_nothing(world: World) -> None:
    committer = Committer(world.pool, Counting(), member="a")
    batch = await batch_of(world, "a")
    await committer.commit(batch)
    await committer.commit(batch)
    assert await applied(world.pool) == 1


async def test_an_old_epoch_writes_nothing(world: World) -> None:
    batch = await batch_of(world, "a")
    await world.pool.execute("UPDATE stream.partitions SET epoch = epoch + 1")
    with pytest.raises(Fenced):
        await Committer(world.pool, Counting(), member="a").commit(batch)
    assert await applied(world.pool) == 0


async def test_who_is_past_its_time_is_taken_from_and_who_is_not_is_left(world: World) -> None:
    a, b = leases(world, "a"), leases(world, "b")
    await a.join()
    await b.join()
    assert len(await a.take(held=[], limit=6)) == 6
    assert await b.take(held=[], limit=6) == []
    await world.pool.execute("UPDATE stream.members SET expires_at = now() WHERE member = 'a'")
    taken = await b.take(held=[], limit=4)
    assert [lease.epoch for lease in taken] == [2] * 4
    # A member whose heartbeat is fresh again keeps what nobody took.
    await a.heartbeat()
    assert await b.take(held=[lease.place for lease in taken], limit=6) == []
    assert (await a.view()).share == 3


async def test_a_newer_process_of_the_same_name_ends_the_older(world: World) -> None:
    old, new = leases(world, "a"), leases(world, "a")
    await old.join()
    await old.take(held=[], limit=6)
    await new.join()
    assert [lease.epoch for lease in await new.take(held=[], limit=6)] == [2] * 6
    with pytest.raises(Superseded):
        await old.heartbeat()
    await new.heartbeat()
