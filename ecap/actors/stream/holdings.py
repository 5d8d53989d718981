"""The partitions a pipeline holds in this shard: taken, recovered, repaired, handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ecap import logs, metrics
from ecap.actors.place import Place
from ecap.actors.stream import snapshots
from ecap.actors.stream.commit import Batch, Committer
from ecap.actors.stream.cursor import Remedy
from ecap.actors.stream.deadletters import DeadLetters
from ecap.actors.stream.fetcher import Fetching
from ecap.actors.stream.leases import Lease, Leases, View
from ecap.actors.stream.owned import Owned
from ecap.actors.stream.pipeline import Pipeline
from ecap.actors.stream.replays import replay
from ecap.clients.postgres import Pool
from ecap.clients.queries import load_queries
from ecap.config.settings.stream import Stream
from ecap.domain.events.topics import TOPICS
from ecap.errors import Fenced

_log = logs.get("ecap.shard")
_SQL = load_queries(__package__)


class Holdings:
    """`committed` waits until everything applied so far is committed; it raises Fenced."""

    def __init__(
        self,
        settings: Stream,
        pipeline: Pipeline[Any, Any],
        *,
        pool: Pool,
        leases: Leases,
        committer: Committer,
        committed: Callable[[], Awaitable[None]],
    ) -> None:
        self.owned: dict[Place, Owned] = {}
        self.poison: dict[Place, dict[int, str]] = {}
        self._settings = settings
        self._pipeline = pipeline
        self._pool = pool
        self._leases = leases
        self._committer = committer
        self._committed = committed
        self._letters = DeadLetters(pool)

    def reconfigure(self, settings: Stream) -> None:
        self._settings = settings

    async def settle(self, fetching: Fetching) -> None:
        """Compare what we hold with PostgreSQL; take, recover, hand over, repair, snapshot."""
        view = await self._leases.view()
        for place, owned in self.owned.items():
            standing = view.standings[place]
            if (standing.owner, standing.epoch) != (self._leases.member, owned.lease.epoch):
                raise Fenced(f"{self._pipeline.name}: {place} was taken")
        excess = len(self.owned) - view.share
        if excess > 0:
            await self.hand_over(list(self.owned.values())[-excess:], fetching)
        else:
            await self._take(view, fetching)
        await self._repair(view, fetching)
        await self._snapshot_one()
        await replay(self._pipeline, self._letters, self.owned, self._finish)
        self._measure(view)

    async def _take(self, view: View, fetching: Fetching) -> None:
        mine = self._leases.member
        wanted = [
            place
            for place, standing in view.standings.items()
            if place not in self.owned and (standing.free or standing.owner == mine)
        ]
        if not wanted:
            return
        room = view.share - len(self.owned)
        taken: list[Lease] = []
        if room > 0:
            taken = await self._leases.take(held=list(self.owned), limit=room)
        for lease in taken:
            self.owned[lease.place] = await self._recover(lease, view)
        if taken:
            # From what was handed out last, not from where the consumer is: assigning drops what it
            # has buffered, and none of that was applied.
            fetching.assign(
                {
                    place: fetching.positions.get(place, owned.offset)
                    for place, owned in self.owned.items()
                }
            )
        # Of an earlier process of this name, and more than our share now.
        await self._leases.release_stale(view, held=self.owned)

    async def _recover(self, lease: Lease, view: View) -> Owned:
        name = self._pipeline.name
        snapshot = await snapshots.load(self._pool, name, *lease.place)
        if snapshot is None:
            state = self._pipeline.new_state(*lease.place)
            pos, offset = lease.start_pos, 0
        else:
            state = self._pipeline.load(*lease.place, snapshot.body)
            pos, offset = snapshot.pos, snapshot.kafka_offset
        # Nothing to replay. The offset of the last commit is newer than the snapshot's, and after a
        # refill another one altogether.
        if pos == lease.next_pos:
            offset = lease.kafka_offset
        buried = await self._letters.positions(name, *lease.place, since=pos)
        owned = Owned(
            self._pipeline,
            lease,
            state=state,
            pos=pos,
            offset=offset,
            dense=view.standings[lease.place].log_pos > 0,
            buried=buried,
            poison=self.poison.setdefault(lease.place, {}),
        )
        # Spread, so that partitions taken together are not all dumped at once.
        turn = (lease.partition + 1) / TOPICS[lease.topic].partitions
        now_s = asyncio.get_running_loop().time()
        owned.snapshot_at_s = now_s + self._settings.snapshot_every_s * turn
        _log.info(
            "partition taken",
            extra={
                "pipeline": name,
                "partition": f"{lease.topic}/{lease.partition}",
                "epoch": lease.epoch,
                "replay": lease.next_pos - pos,
            },
        )
        return owned

    async def hand_over(self, leaving: Sequence[Owned], fetching: Fetching) -> None:
        # In this order: all that was applied is committed, the snapshot is of exactly that, and
        # only then may another take it. Released first, the commit would be fenced, and the next
        # owner would have to replay.
        await self._committed()
        batch = Batch()
        for owned in leaving:
            if owned.cursor.live and owned.cursor.next_pos > owned.snapshot_pos:
                # To where it is: it moves nothing, and fences the snapshot like a batch.
                batch.moves.append(owned.move(owned.moved_pos))
                batch.snapshots.append(owned.snapshot())
        if batch.moves:
            await self._committer.commit(batch)
        await self._leases.release([owned.lease for owned in leaving])
        for owned in leaving:
            del self.owned[owned.place]
        fetching.assign({place: fetching.position(place) for place in self.owned})

    async def _repair(self, view: View, fetching: Fetching) -> None:
        for place, owned in self.owned.items():
            remedy = owned.cursor.check(
                position=fetching.position(place),
                highwater=fetching.highwater(place),
                sent_pos=view.standings[place].sent_pos,
            )
            if remedy is Remedy.REWIND:
                _log.warning(
                    "events are missing, reading the partition again",
                    extra={"pipeline": self._pipeline.name, "partition": place},
                )
                fetching.seek(place, 0)
            elif remedy is Remedy.REFILL:
                await self._pool.execute(_SQL["request_refill"], *place, owned.cursor.next_pos)

    async def _snapshot_one(self) -> None:
        """At most one at a time: a dump holds up everything else."""
        now_s = asyncio.get_running_loop().time()
        for owned in self.owned.values():
            behind = owned.cursor.next_pos > owned.snapshot_pos
            if owned.snapshot_at_s <= now_s and behind and owned.cursor.live:
                owned.snapshot_at_s = now_s + self._settings.snapshot_every_s
                await self._finish(Batch(), owned)
                return

    async def _finish(self, batch: Batch, owned: Owned) -> None:
        """Commit `batch` with a snapshot of the partition, after everything before it."""
        # A snapshot ahead of the positions would have its last events applied twice. Nothing is
        # applied between this and the snapshot, as both are of the task that applies.
        await self._committed()
        batch.moves.append(owned.move(owned.moved_pos))
        batch.snapshots.append(owned.snapshot())
        await self._committer.commit(batch)

    def _measure(self, view: View) -> None:
        name = self._pipeline.name
        for (topic, partition), owned in self.owned.items():
            standing = view.standings[topic, partition]
            lag = max(standing.log_pos - standing.next_pos, 0)
            metrics.stream_lag.labels(name, topic, str(partition)).set(lag)
            for outcome, count in owned.counts.items():
                if count:
                    metrics.stream_events.labels(name, outcome).inc(count)
                    owned.counts[outcome] = 0
