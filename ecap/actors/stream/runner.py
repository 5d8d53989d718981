"""One pipeline in one shard: fetch, apply while the batch before is committed, answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ecap import logs, metrics, tasks
from ecap.actors import event_spans
from ecap.actors.backoff import Backoff
from ecap.actors.place import Place
from ecap.actors.stream.commit import Batch, Committer
from ecap.actors.stream.fetcher import Fetching
from ecap.actors.stream.holdings import Holdings
from ecap.actors.stream.leases import Leases, NotOwner, Superseded
from ecap.actors.stream.owned import Poisoned
from ecap.actors.stream.pipeline import Pipeline
from ecap.clients.kafka import ConsumerRecord, create_topics, open_consumer
from ecap.clients.postgres import Pool
from ecap.clients.queries import load_queries
from ecap.config.settings.stream import Stream
from ecap.config.settings.tree import Settings
from ecap.domain.events.topics import TOPICS
from ecap.domain.values.partitions import partition_of
from ecap.errors import Fenced, NotFound, Retryable, Unavailable

_log = logs.get("ecap.shard")
_SQL = load_queries(__package__)

_DRAIN_S = 5.0
# Of the wait for events while a batch is being committed: its end wakes nobody here.
_COMMITTING_S = 0.05


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
        self._holdings = Holdings(
            settings.stream,
            pipeline,
            pool=pool,
            leases=self._leases,
            committer=self._committer,
            committed=self._committed,
        )
        self._applying = asyncio.Lock()
        # At most one: each moves the positions from where the one before led, and would find
        # nothing to move if it came first, as if it had been fenced.
        self._committing: asyncio.Task[None] | None = None
        self._valid_until_s = 0.0
        self._stopping = asyncio.Event()
        self.trouble: str | None = "not started"

    # ---- change

    def reconfigure(self, stream: Stream) -> None:
        self._stream = stream
        self._leases.reconfigure(ttl_s=stream.lease_ttl_s)
        self._holdings.reconfigure(stream)
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
                # Once in the life of this process: joining again after it was replaced it would
                # replace its successor, which would do the same, without end.
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
                self._holdings.poison.setdefault(exc.place, {})[exc.pos] = exc.detail
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
                for (topic, partition), owned in self._holdings.owned.items()
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
        owned = self._holdings.owned.get(place)
        if owned is not None and not owned.live.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await owned.live.wait()
            except TimeoutError as exc:
                raise Unavailable(f"{self.pipeline.name}: {place} is replaying") from exc
        # A member whose heartbeats fail may have been replaced without knowing it.
        expired = asyncio.get_running_loop().time() >= self._valid_until_s
        if owned is None or expired or self._holdings.owned.get(place) is not owned:
            raise NotOwner(f"{self.pipeline.name}: {place} is not owned here", retry_after_s=0.05)
        # No await since the checks: the state that answers is the one that was checked.
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
                # First, so that no question is answered from a state that nobody keeps up any more.
                self._holdings.owned = {}
                await tasks.end(heart)
                if self._committing:
                    # Whether it committed is open. The next session reads it in the positions, and
                    # cannot take what this one still has locked.
                    await tasks.end(self._committing)
                    self._committing = None

    async def _loop(self, fetching: Fetching, heart: asyncio.Task[None], backoff: Backoff) -> None:
        clock = asyncio.get_running_loop().time
        settle_at_s = 0.0
        while not self._stopping.is_set():
            if heart.done():
                heart.result()
            if clock() >= settle_at_s:
                await self._holdings.settle(fetching)
                settle_at_s = clock() + self._stream.heartbeat_s
                backoff.reset()
                self.trouble = None
            records = await fetching.poll(
                max_records=self._stream.batch_max_events,
                wait_s=_COMMITTING_S if self._committing else self._stream.fetch_wait_s,
            )
            if records:
                await self._step(records)
            elif not fetching.positions:
                await self._pause(min(self._stream.heartbeat_s, 0.1))
            elif self._committing and self._committing.done():
                # Without new events nobody else would see that it has failed.
                await self._committed()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await self._holdings.hand_over(list(self._holdings.owned.values()), fetching)
                await self._leases.leave()

    async def _beat(self) -> None:
        """Raises Superseded. PostgreSQL being away is for the others to notice."""
        clock = asyncio.get_running_loop().time
        while True:
            # From before it is sent. PostgreSQL counts from when it arrives, so this side stops
            # answering before others may take over.
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
                if owned := self._holdings.owned.get(place):
                    await owned.apply(found, batch)
        if batch.moves:
            # The one before has to be in (see `_committing`). If it failed, that is raised here,
            # and this batch is thrown away with the session.
            await self._committed()
            self._committing = asyncio.create_task(
                self._commit(batch), name=f"commit-{self.pipeline.name}"
            )

    async def _commit(self, batch: Batch) -> None:
        name = self.pipeline.name
        with metrics.stream_batch_seconds.labels(name).time():
            await self._committer.commit(batch)
        event_spans.processed(name, batch.traced, began_ns=batch.began_ns)
        if batch.oldest:
            age_s = (datetime.now(UTC) - batch.oldest).total_seconds()
            metrics.stream_latency_seconds.labels(name).observe(max(age_s, 0.0))
        for letter in batch.letters:
            metrics.dead_letters.labels(name, letter.reason).inc()
            self._holdings.poison.get((letter.topic, letter.partition), {}).pop(letter.pos, None)

    async def _committed(self) -> None:
        """Everything applied so far is committed. Raises Fenced."""
        if self._committing:
            task, self._committing = self._committing, None
            await task

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
