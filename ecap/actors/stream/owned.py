"""One partition in the hands of a shard: its state, and applying records to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from ecap import logs, spans
from ecap.actors.event_spans import Traced
from ecap.actors.place import Place
from ecap.actors.stream.commit import Batch, Move
from ecap.actors.stream.cursor import Cursor
from ecap.actors.stream.deadletters import DeadLetter
from ecap.actors.stream.leases import Lease
from ecap.actors.stream.pipeline import Pipeline, Record
from ecap.actors.stream.snapshots import Snapshot
from ecap.clients.kafka import ConsumerRecord
from ecap.domain.events.codec import EventError, decode
from ecap.domain.events.envelope import Event

_log = logs.get("ecap.shard")

# How long a shard applies records before it lets questions in.
_SLICE_S = 0.002
_SLICE_RECORDS = 32

REFUSED = "refused"
FAILED = "failed"


class Poisoned(Exception):
    """The pipeline failed in a way its contract does not know; its state is in doubt."""

    def __init__(self, place: Place, pos: int, detail: str) -> None:
        super().__init__(f"{place} position {pos}: {detail}")
        self.place = place
        self.pos = pos
        self.detail = detail


class Owned:
    def __init__(
        self,
        pipeline: Pipeline[Any, Any],
        lease: Lease,
        *,
        state: Any,
        pos: int,
        offset: int,
        dense: bool,
        buried: set[int],
        poison: dict[int, str],
    ) -> None:
        self.lease = lease
        self.state = state
        self.cursor = Cursor(pos, live_pos=lease.next_pos)
        self.offset = offset
        self.moved_pos = lease.next_pos
        self.snapshot_pos = pos
        self.snapshot_at_s = 0.0
        self.live = asyncio.Event()
        self.counts = {"applied": 0, "replayed": 0, "skipped": 0}
        self._pipeline = pipeline
        self._dense = dense
        self._buried = buried
        self._poison = poison
        self._note_live()

    @property
    def place(self) -> Place:
        return self.lease.place

    async def apply(self, records: Sequence[ConsumerRecord], batch: Batch) -> None:
        """In slices, so that a question does not wait for a whole batch. Raises Poisoned."""
        until_s = time.perf_counter() + _SLICE_S
        for start in range(0, len(records), _SLICE_RECORDS):
            self._apply(records[start : start + _SLICE_RECORDS], batch)
            if time.perf_counter() >= until_s:
                await asyncio.sleep(0)
                until_s = time.perf_counter() + _SLICE_S
        self._note_live()
        # One move for all of it, at the end: when an event is poison the batch is thrown away
        # whole, and no position may have been moved for it.
        if self.cursor.next_pos > self.moved_pos:
            batch.moves.append(self.move(self.cursor.next_pos))
            self.moved_pos = self.cursor.next_pos

    def _apply(self, records: Sequence[ConsumerRecord], batch: Batch) -> None:
        cursor = self.cursor
        topic, partition = self.place
        step = self._pipeline.apply
        for record in records:
            pos = _position(record)
            if pos is None:
                if self._dense:
                    # Not the relay's; an offset would be no position here.
                    self.counts["skipped"] += 1
                    continue
                pos = record.offset
            else:
                self._dense = True
            if pos != cursor.next_pos and not cursor.accepts(pos, dense=self._dense):
                self.counts["skipped"] += 1
                continue
            if pos < cursor.live_pos:
                self._replay(record, pos)
            else:
                try:
                    event = self._decode(record.value, pos)
                    result = step(self.state, Record(topic, partition, pos, event))
                except ValueError as exc:
                    batch.letters.append(self._letter(record, pos, exc))
                except Exception as exc:
                    raise Poisoned(self.place, pos, repr(exc)) from exc
                else:
                    if result is not None:
                        batch.results.append(result)
                    if event.traceparent is not None and spans.enabled():
                        traced = Traced(self.place, pos, event.id, event.traceparent)
                        batch.traced.append(traced)
                    if batch.oldest is None or event.occurred_at < batch.oldest:
                        batch.oldest = event.occurred_at
                batch.events += 1
                self.counts["applied"] += 1
            cursor.next_pos = pos + 1
            cursor.gap = False
            self.offset = record.offset + 1

    def _decode(self, body: bytes | None, pos: int) -> Event:
        if pos in self._poison:
            raise _Failed(self._poison[pos])
        return decode(body or b"")

    def _replay(self, record: ConsumerRecord, pos: int) -> None:
        """Bring the state forward by what is committed already, skipping what was buried."""
        self.counts["replayed"] += 1
        if pos in self._buried or pos in self._poison:
            return
        try:
            event = decode(record.value or b"")
            self._pipeline.apply(self.state, Record(*self.place, pos, event))
        except ValueError as exc:
            # The state becomes what the present code makes of the events.
            _log.error("an event applied before is now refused", exc_info=exc)
        except Exception as exc:
            raise Poisoned(self.place, pos, repr(exc)) from exc

    def _letter(self, record: ConsumerRecord, pos: int, exc: ValueError) -> DeadLetter:
        key = record.key.decode(errors="replace") if record.key else ""
        body = record.value or b""
        reason = exc.reason if isinstance(exc, EventError) else REFUSED
        return DeadLetter(*self.place, pos, record.offset, reason, str(exc), key, body)

    def _note_live(self) -> None:
        if self.cursor.live and not self.live.is_set():
            self._buried.clear()
            self.live.set()

    def move(self, to_pos: int) -> Move:
        return Move(*self.place, self.lease.epoch, self.moved_pos, to_pos, self.offset)

    def snapshot(self) -> Snapshot:
        self.snapshot_pos = self.cursor.next_pos
        body = self._pipeline.dump(self.state)
        return Snapshot(*self.place, self.cursor.next_pos, self.offset, body)


class _Failed(EventError):
    reason = FAILED


def _position(record: ConsumerRecord) -> int | None:
    for name, value in record.headers:
        if name == "pos":
            return int(value)
    return None
