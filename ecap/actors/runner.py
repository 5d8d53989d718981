"""One pipeline in one shard: take partitions, recover, apply, commit, hand over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ecap import logs, metrics
from ecap.actors import snapshots
from ecap.actors.backoff import Backoff
from ecap.actors.commit import Batch, Committer
from ecap.actors.cursor import Remedy
from ecap.actors.deadletters import DeadLetters
from ecap.actors.fetching import Fetching
from ecap.actors.leases import Lease, Leases, NotOwner, Place, Superseded, View
from ecap.actors.owned import Owned, Poisoned
from ecap.actors.pipeline import Pipeline
from ecap.actors.replaying import replay
from ecap.clients.kafka import ConsumerRecord, create_topics, open_consumer
from ecap.clients.postgres import Pool, load_queries
from ecap.config.settings import Settings, Stream
from ecap.domain.events import TOPICS
from ecap.domain.partitions import partition_of
from ecap.errors import Fenced, NotFound, Retryable, Unavailable

_log = logs.get("ecap.shard")
_SQL = load_queries("ecap.actors")

_DRAIN_S = 5.0


class Runner:
    def __init__(
        self, settings: Settings, pipeline: Pipeline[Any, Any], *, pool: Pool, member: str
    ) -> None:
        self.pipeline = pipeline
        self._kafka = settings.kafka
        self._stream = settings.stream
        self._pool = pool
        partitions = [(t, p) for t in pipeline.topics for p in range(TOPICS[t].partitions)]
        self._leases = Leases(
            pool,
            pipeline=pipeline.name,
            member=member,
            partitions=partitions,
            ttl_s=settings.stream.lease_ttl_s,
        )
        self._committer = Committer(pool, pipeline, member=member)
        self._letters = DeadLetters(pool)
        self._owned: dict[Place, Owned] = {}
        self._poison: dict[Place, dict[int, str]] = {}
        self._applying = asyncio.Lock()
        self._committing: asyncio.Task[None] | None = None
        self._valid_until_s = 0.0
        self._stopping = asyncio.Event()
        self.trouble: str | None = "not started"

    # ---- change

    def reconfigure(self, stream: Stream) -> None:
        self._stream = stream
        self._leases.reconfigure(ttl_s=stream.lease_ttl_s)
        # The next heartbeat may shorten the lease without our hearing of it.
        latest_s = asyncio.get_running_loop().time() + stream.lease_ttl_s
        self._valid_until_s = min(self._valid_until_s, latest_s)

    async def between_batches(self, change: Callable[[], object]) -> None:
        """A batch is applied with one configuration of the pipeline, from its first event
        to its last; questions follow it at the same moment."""
        async with self._applying:
            change()

    # ---- life

    async def run(self) -> None:
        """Until stopped, or until a newer process has taken this member's name."""
        backoff = Backoff(first_s=0.1, cap_s=5.0)
        joined = False
        while not self._stopping.is_set():
            try:
                if not joined:
                    await self._leases.join()
                    joined = True
                await self._session(backoff)
            except Superseded as exc:
                self.trouble = str(exc)
                _log.warning("replaced", extra={"pipeline": self.pipeline.name})
                return
            except Fenced as exc:
                metrics.stream_fenced.labels(self.pipeline.name).inc()
                self._failed(exc)
            except Retryable as exc:
                self._failed(exc)
            except Poisoned as exc:
                self._poison.setdefault(exc.place, {})[exc.pos] = exc.detail
                self._failed(exc)
            except Exception as exc:  # noqa: BLE001  pipelines that share a process must not end each other
                _log.exception("a pipeline failed", extra={"pipeline": self.pipeline.name})
                self.trouble = repr(exc)
            if not self._stopping.is_set():
                await self._pause(backoff.next_s())

    def stop(self) -> None:
        self._stopping.set()

    def status(self) -> dict[str, Any]:
        return {
            "ok": self.trouble is None,
            "trouble": self.trouble,
            "partitions": {
                f"{topic}/{partition}": {
                    "next_pos": owned.cursor.next_pos,
                    "epoch": owned.lease.epoch,
                    "live": owned.cursor.live,
                }
                for (topic, partition), owned in self._owned.items()
            },
        }

    async def ask(
        self, topic: str, key: str, question: Any, *, now: datetime, timeout_s: float
    ) -> Any:
        """Answered by the live state of the key's partition.

        Raises NotOwner, and Unavailable when the state is not recovered in time.
        """
        if topic not in self.pipeline.topics:
            raise NotFound(f"{self.pipeline.name} does not read {topic}")
        place = (topic, partition_of(key, TOPICS[topic].partitions))
        owned = self._owned.get(place)
        if owned is not None and not owned.live.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await owned.live.wait()
            except TimeoutError as exc:
                raise Unavailable(f"{self.pipeline.name}: {place} is replaying") from exc
        # A member whose heartbeats fail may have been replaced without knowing it.
        expired = asyncio.get_running_loop().time() >= self._valid_until_s
        if owned is None or expired or self._owned.get(place) is not owned:
            raise NotOwner(f"{self.pipeline.name}: {place} is not owned here", retry_after_s=0.05)
        return self.pipeline.answer(owned.state, question, now=now)

    # ---- one session: from nothing owned to nothing owned

    async def _session(self, backoff: Backoff) -> None:
        wait_s = self._stream.fetch_wait_s
        # Whoever comes first; asking for a missing topic would keep the client busy.
        await create_topics(self._kafka)
        async with open_consumer(self._kafka, fetch_wait_s=wait_s) as consumer:
            fetching = Fetching(consumer)
            heart = asyncio.create_task(
                self._beat(), name=f"heartbeat-{self.pipeline.name}-{self._leases.member}"
            )
            try:
                await self._loop(fetching, heart, backoff)
            finally:
                self._owned = {}
                await _ended(heart)
                if self._committing:
                    await _ended(self._committing)
                    self._committing = None

    async def _loop(self, fetching: Fetching, heart: asyncio.Task[None], backoff: Backoff) -> None:
        clock = asyncio.get_running_loop().time
        settle_at_s = 0.0
        while not self._stopping.is_set():
            if heart.done():
                heart.result()
            if clock() >= settle_at_s:
                await self._settle(fetching)
                settle_at_s = clock() + self._stream.heartbeat_s
                backoff.reset()
                self.trouble = None
            records = await fetching.poll(
                max_records=self._stream.batch_max_events, wait_s=self._stream.fetch_wait_s
            )
            if records:
                await self._step(records)
            elif not fetching.positions:
                await self._pause(min(self._stream.heartbeat_s, 0.1))
            elif self._committing and self._committing.done():
                await self._committed()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await self._hand_over(list(self._owned.values()), fetching)
                await self._leases.leave()

    async def _beat(self) -> None:
        """Raises Superseded. PostgreSQL being away is for the others to notice."""
        clock = asyncio.get_running_loop().time
        while True:
            valid_until_s = clock() + self._stream.lease_ttl_s
            with contextlib.suppress(Retryable):
                await self._leases.heartbeat()
                self._valid_until_s = min(valid_until_s, clock() + self._stream.lease_ttl_s)
            await asyncio.sleep(self._stream.heartbeat_s)

    async def _step(self, records: Mapping[Place, Sequence[ConsumerRecord]]) -> None:
        """Apply while the previous batch is being committed, then commit this one."""
        batch = Batch()
        async with self._applying:
            for place, found in records.items():
                if owned := self._owned.get(place):
                    await owned.apply(found, batch)
        if batch.moves:
            await self._committed()
            self._committing = asyncio.create_task(
                self._commit(batch), name=f"commit-{self.pipeline.name}"
            )

    async def _commit(self, batch: Batch) -> None:
        name = self.pipeline.name
        with metrics.stream_batch_seconds.labels(name).time():
            await self._committer.commit(batch)
        if batch.oldest:
            age_s = (datetime.now(UTC) - batch.oldest).total_seconds()
            metrics.stream_latency_seconds.labels(name).observe(max(age_s, 0.0))
        for letter in batch.letters:
            metrics.dead_letters.labels(name, letter.reason).inc()
            self._poison.get((letter.topic, letter.partition), {}).pop(letter.pos, None)

    async def _committed(self) -> None:
        """Everything applied so far is committed. Raises Fenced."""
        if self._committing:
            task, self._committing = self._committing, None
            await task

    # ---- partitions come and go

    async def _settle(self, fetching: Fetching) -> None:
        """Compare what we hold with PostgreSQL; take, recover, hand over, repair, snapshot."""
        view = await self._leases.view()
        for place, owned in self._owned.items():
            standing = view.standings[place]
            if (standing.owner, standing.epoch) != (self._leases.member, owned.lease.epoch):
                raise Fenced(f"{self.pipeline.name}: {place} was taken")
        excess = len(self._owned) - view.share
        if excess > 0:
            await self._hand_over(list(self._owned.values())[-excess:], fetching)
        else:
            await self._take(view, fetching)
        await self._repair(view, fetching)
        await self._snapshot_one()
        await replay(self.pipeline, self._letters, self._owned, self._finish)
        self._measure(view)

    async def _take(self, view: View, fetching: Fetching) -> None:
        mine = self._leases.member
        wanted = [
            place
            for place, standing in view.standings.items()
            if place not in self._owned and (standing.free or standing.owner == mine)
        ]
        if not wanted:
            return
        room = view.share - len(self._owned)
        taken: list[Lease] = []
        if room > 0:
            taken = await self._leases.take(held=list(self._owned), limit=room)
        for lease in taken:
            self._owned[lease.place] = await self._recover(lease, view)
        if taken:
            fetching.assign(
                {
                    place: fetching.positions.get(place, owned.offset)
                    for place, owned in self._owned.items()
                }
            )
        # Of an earlier process of this name, and more than our share now.
        await self._leases.release_stale(view, held=self._owned)

    async def _recover(self, lease: Lease, view: View) -> Owned:
        name = self.pipeline.name
        snapshot = await snapshots.load(self._pool, name, *lease.place)
        if snapshot is None:
            state = self.pipeline.new_state(*lease.place)
            pos, offset = lease.start_pos, 0
        else:
            state = self.pipeline.load(*lease.place, snapshot.body)
            pos, offset = snapshot.pos, snapshot.kafka_offset
        if pos == lease.next_pos:
            offset = lease.kafka_offset
        buried = await self._letters.positions(name, *lease.place, since=pos)
        owned = Owned(
            self.pipeline,
            lease,
            state=state,
            pos=pos,
            offset=offset,
            dense=view.standings[lease.place].log_pos > 0,
            buried=buried,
            poison=self._poison.setdefault(lease.place, {}),
        )
        owned.snapshot_at_s = asyncio.get_running_loop().time() + self._stream.snapshot_every_s * (
            (lease.partition + 1) / TOPICS[lease.topic].partitions
        )
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

    async def _hand_over(self, leaving: Sequence[Owned], fetching: Fetching) -> None:
        await self._committed()
        batch = Batch()
        for owned in leaving:
            if owned.cursor.live and owned.cursor.next_pos > owned.snapshot_pos:
                batch.moves.append(owned.move(owned.moved_pos))
                batch.snapshots.append(owned.snapshot())
        if batch.moves:
            await self._committer.commit(batch)
        await self._leases.release([owned.lease for owned in leaving])
        for owned in leaving:
            del self._owned[owned.place]
        fetching.assign({place: fetching.position(place) for place in self._owned})

    async def _repair(self, view: View, fetching: Fetching) -> None:
        for place, owned in self._owned.items():
            remedy = owned.cursor.check(
                position=fetching.position(place),
                highwater=fetching.highwater(place),
                sent_pos=view.standings[place].sent_pos,
            )
            if remedy is Remedy.REWIND:
                _log.warning(
                    "events are missing, reading the partition again",
                    extra={"pipeline": self.pipeline.name, "partition": place},
                )
                fetching.seek(place, 0)
            elif remedy is Remedy.REFILL:
                await self._pool.execute(_SQL["request_refill"], *place, owned.cursor.next_pos)

    async def _snapshot_one(self) -> None:
        """At most one at a time: a dump holds up everything else."""
        now_s = asyncio.get_running_loop().time()
        for owned in self._owned.values():
            behind = owned.cursor.next_pos > owned.snapshot_pos
            if owned.snapshot_at_s <= now_s and behind and owned.cursor.live:
                owned.snapshot_at_s = now_s + self._stream.snapshot_every_s
                await self._finish(Batch(), owned)
                return

    async def _finish(self, batch: Batch, owned: Owned) -> None:
        """Commit `batch` with a snapshot of the partition, after everything before it."""
        await self._committed()
        batch.moves.append(owned.move(owned.moved_pos))
        batch.snapshots.append(owned.snapshot())
        await self._committer.commit(batch)

    def _measure(self, view: View) -> None:
        name = self.pipeline.name
        for (topic, partition), owned in self._owned.items():
            standing = view.standings[topic, partition]
            lag = max(standing.log_pos - standing.next_pos, 0)
            metrics.stream_lag.labels(name, topic, str(partition)).set(lag)
            for outcome, count in owned.counts.items():
                if count:
                    metrics.stream_events.labels(name, outcome).inc(count)
                    owned.counts[outcome] = 0

    def _failed(self, exc: Exception) -> None:
        if self.trouble is None:
            _log.warning(
                "starting over from what is committed",
                extra={"pipeline": self.pipeline.name, "trouble": str(exc)},
            )
        self.trouble = str(exc)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancelled and gone; whatever it raises was raised before or no longer matters."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
