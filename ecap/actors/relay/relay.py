"""OutboxRelay: every service's outbox into Kafka, in order, losing nothing.

Of each schema, over and over: give the new events their positions in one
transaction, send them, record that they were sent. Dying between any two of
these sends some events again with the same positions, which consumers drop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from ecap import logs, metrics, tasks
from ecap.actors import event_spans
from ecap.actors.backoff import Backoff
from ecap.actors.place import Place, Row
from ecap.actors.relay.audit import Audit
from ecap.actors.relay.positions import SCHEMA_OF, Lane, Placed, TopicLog
from ecap.actors.relay.sender import Sent, send
from ecap.clients.database import open_database
from ecap.clients.kafka import AIOKafkaProducer, create_topics, open_consumer, open_producer
from ecap.clients.outbox import SCHEMAS
from ecap.clients.postgres import Pool
from ecap.config.member.follows import Follow
from ecap.config.settings.connections.postgres import Postgres
from ecap.config.settings.outbox import Outbox
from ecap.config.settings.tree import Settings
from ecap.errors import EcapError, NotFound, Retryable, Unavailable

_log = logs.get("ecap.relay")

_PURGE_EVERY_S = 60.0
# Clients heal by themselves; after this long new ones are opened, by the configured addresses.
_REOPEN_AFTER_FAILURES = 20
_STOP_S = 5.0


class OutboxRelay:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kafka = settings.kafka
        self._outbox = settings.outbox
        self._pool: Pool | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._trouble: str | None = "not started"
        self._suspected: set[Place] = set()
        self._audit_due = asyncio.Event()
        self._schema_pause: dict[str, tuple[Backoff, float]] = {}

    def follows(self) -> list[Follow[Any]]:
        return [
            Follow("postgres", Postgres, self._use),
            Follow("outbox", Outbox, self._reconfigure),
        ]

    def _reconfigure(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def _use(self, postgres: Postgres) -> None:
        if self._pool is not None:
            await self._pool.reconfigure(postgres)
        self._settings = self._settings.model_copy(update={"postgres": postgres})

    async def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="relay")

    async def stop(self) -> None:
        self._stopping.set()
        self._audit_due.set()
        if self._task:
            # A send to a broker that is away would wait for its own, longer, timeout.
            await asyncio.wait([self._task], timeout=_STOP_S)
            await tasks.end(self._task)

    def health(self) -> dict[str, Any]:
        alive = self._task is not None and not self._task.done()
        return {
            "alive": alive,
            "ok": alive and self._trouble is None,
            "trouble": self._trouble,
        }

    async def handle(self, method: str, payload: Any, headers: Mapping[str, str]) -> Any:
        raise NotFound(f"the relay has no {method}")

    async def _run(self) -> None:
        async with open_database(self._settings, service="relay") as pool:
            self._pool, log = pool, TopicLog(pool)
            backoff = Backoff(first_s=0.1, cap_s=5.0)
            while not self._stopping.is_set():
                try:
                    await self._session(log, backoff)
                except Retryable as exc:
                    self._failed(exc)
                except Exception as exc:  # noqa: BLE001  the relay outlives its own bugs
                    _log.exception("the relay failed, starting over")
                    self._trouble = repr(exc)
                if not self._stopping.is_set():
                    await self._pause(backoff.next_s())

    async def _session(self, log: TopicLog, backoff: Backoff) -> None:
        async with AsyncExitStack() as stack:
            await create_topics(self._kafka)
            producer = await stack.enter_async_context(open_producer(self._kafka))
            probe = await stack.enter_async_context(open_consumer(self._kafka))
            audit = Audit(log, probe, kafka=self._kafka)
            await log.prepare()
            # Before the first send: a broker that came back with less is filled again from where it
            # is short, not found out when a batch after the hole is in.
            await audit.run()
            backoff.reset()
            self._trouble = None
            _log.info("the relay is sending")
            auditing = asyncio.create_task(self._keep_auditing(audit), name="relay-audit")
            stack.push_async_callback(tasks.end, auditing)
            await self._pump(log, producer)

    async def _pump(self, log: TopicLog, producer: AIOKafkaProducer) -> None:
        delay_s = self._outbox.poll_min_s
        backoff = Backoff(first_s=0.05, cap_s=2.0)
        while not self._stopping.is_set():
            try:
                busy = await self._round(log, producer)
            except Retryable as exc:
                self._failed(exc)
                if backoff.failures >= _REOPEN_AFTER_FAILURES:
                    raise
                await self._pause(backoff.next_s())
                continue
            backoff.reset()
            self._trouble = None
            poll = self._outbox
            if busy:
                delay_s = poll.poll_min_s
            else:
                await self._pause(min(delay_s, poll.poll_max_s))
                delay_s = min(max(delay_s * 1.5, poll.poll_min_s), poll.poll_max_s)

    async def _round(self, log: TopicLog, producer: AIOKafkaProducer) -> bool:
        """Raises Retryable when PostgreSQL or the broker is away."""
        now_s = asyncio.get_running_loop().time()
        schemas = [s for s in SCHEMAS if self._schema_pause.get(s, (None, 0.0))[1] <= now_s]
        unplaced, behind = await self._work(log, schemas)
        work = (unplaced | behind) & set(schemas)
        results = await asyncio.gather(
            *(self._relay(log, producer, schema, schema in unplaced) for schema in sorted(work)),
            return_exceptions=True,
        )
        moved = False
        for schema, result in zip(sorted(work), results, strict=True):
            # PostgreSQL or the broker is away, for all of them: no schema is at fault.
            if isinstance(result, Retryable):
                raise result
            if isinstance(result, BaseException):
                self._set_aside(schema, result)
            else:
                self._schema_pause.pop(schema, None)
                moved = moved or result
        return moved

    async def _work(self, log: TopicLog, schemas: Sequence[str]) -> tuple[set[str], set[str]]:
        """One question for all; when it fails, one for each, to find who is in trouble."""
        if not schemas:
            return set(), set()
        try:
            return await log.work(schemas)
        except EcapError:
            raise
        except Exception as exc:  # noqa: BLE001  a broken schema must not stop the others
            if len(schemas) == 1:
                self._set_aside(schemas[0], exc)
                return set(), set()
        each = [await self._work(log, [schema]) for schema in schemas]
        return set().union(*(u for u, _ in each)), set().union(*(b for _, b in each))

    def _set_aside(self, schema: str, exc: BaseException) -> None:
        backoff, _ = self._schema_pause.get(schema, (Backoff(first_s=0.5, cap_s=30.0), 0.0))
        until_s = asyncio.get_running_loop().time() + backoff.next_s()
        self._schema_pause[schema] = (backoff, until_s)
        _log.error("an outbox is set aside", exc_info=exc, extra={"schema": schema})

    async def _relay(
        self, log: TopicLog, producer: AIOKafkaProducer, schema: str, unplaced: bool
    ) -> bool:
        placed = await self._placed(log, schema, unplaced)
        behind = [lane for lane in placed.lanes if lane.sent_pos < lane.next_pos]
        sent = await asyncio.gather(
            *(self._send(log, producer, lane, placed.rows.get(lane.place)) for lane in behind)
        )
        moved = [s for s in sent if s.to_pos > s.lane.sent_pos]
        if moved:
            await log.record_sent([(s.lane, s.to_pos, s.offset or 0) for s in moved])
            for s in moved:
                metrics.outbox_sent.labels(s.lane.topic).inc(s.to_pos - s.lane.sent_pos)
        self._suspect({s.lane.place for s in sent if s.lost})
        for s in sent:
            if s.error:
                # The broker may have come back without its topics.
                self._audit_due.set()
                raise s.error
        return bool(moved)

    async def _placed(self, log: TopicLog, schema: str, unplaced: bool) -> Placed:
        if unplaced:
            return await log.place(schema, limit=self._outbox.batch_max_events)
        topics = [topic for topic, owner in SCHEMA_OF.items() if owner == schema]
        return Placed(await log.lanes(topics), {})

    async def _send(
        self, log: TopicLog, producer: AIOKafkaProducer, lane: Lane, rows: Sequence[Row] | None
    ) -> Sent:
        """New rows at hand are sent at once, unless older ones of the lane come first."""
        if not rows or rows[0][0] != lane.sent_pos:
            rows = await log.backlog(lane, limit=self._outbox.batch_max_events)
        if not rows:
            raise LookupError(f"{lane.place} lacks events from {lane.sent_pos} on in its outbox")
        # Left alone until the refill has moved `sent_pos` back: what is sent before that is sent
        # again after it.
        if lane.place in self._suspected:
            return Sent(lane, lane.sent_pos, lane.kafka_offset)
        began_ns = time.time_ns()
        sent = await send(producer, lane, rows)
        event_spans.sent(lane.place, rows, to_pos=sent.to_pos, began_ns=began_ns)
        return sent

    def _suspect(self, places: set[Place]) -> None:
        if places:
            self._suspected |= places
            self._audit_due.set()

    async def _keep_auditing(self, audit: Audit) -> None:
        loop = asyncio.get_running_loop()
        purge_at_s = loop.time() + _PURGE_EVERY_S
        while not self._stopping.is_set():
            try:
                suspected = set(self._suspected)
                await audit.run(suspected=suspected)
                # Those that were refilled, and no others: more may have come while the audit ran.
                self._suspected -= suspected
                await audit.count_pending()
                if loop.time() >= purge_at_s:
                    purge_at_s = loop.time() + _PURGE_EVERY_S
                    await audit.purge(now=datetime.now(UTC), retention_s=self._outbox.retention_s)
            except Retryable as exc:
                self._failed(exc)
            except Exception:  # noqa: BLE001  nor may a bug here end the watch over the broker
                _log.exception("the audit failed")
            # What became due during the audit is not lost by this: suspects are looked for below,
            # and a send that fails once more sets it once more.
            self._audit_due.clear()
            every_s = self._outbox.audit_every_s
            if self._suspected:
                await self._pause(min(every_s, 0.2))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await self._audit_due.wait()

    def _failed(self, exc: Retryable) -> None:
        if self._trouble is None or isinstance(exc, Unavailable):
            _log.warning("the relay waits", extra={"trouble": str(exc)})
        self._trouble = str(exc)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
