"""Positions: duplicates, gaps, rewinds; and the law they serve."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from ecap.actors.stream.commit import Batch
from ecap.actors.stream.cursor import Cursor, Remedy
from ecap.actors.stream.leases import Lease
from ecap.actors.stream.owned import Owned
from ecap.actors.stream.pipeline import Record
from ecap.domain.events.browsing import ProductSearched
from ecap.domain.events.codec import encode
from ecap.domain.events.envelope import new_event

BODY = encode(
    new_event(
        ProductSearched(session_id="s", query="q", results=1),
        key="s",
        producer="analytics",
        now=datetime(2026, 1, 1, tzinfo=UTC),
        event_id=UUID(int=1),
    )
)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as opened:
        yield opened


class Adding:
    """The state is the list of positions applied; the result is its length."""

    name = "adding"
    topics: tuple[str, ...] = ("user-events",)

    def new_state(self, topic: str, partition: int) -> list[int]:
        return []

    def dump(self, state: list[int]) -> bytes:
        return ",".join(map(str, state)).encode()

    def load(self, topic: str, partition: int, snapshot: bytes) -> list[int]:
        return [int(x) for x in snapshot.decode().split(",") if x]

    def apply(self, state: list[int], record: Record) -> tuple[int, list[int]]:
        state.append(record.pos)
        return record.pos, list(state)

    async def write(self, conn: Any, results: Sequence[Any]) -> None:
        raise AssertionError("the model writes")

    def answer(self, state: list[int], question: Any, *, now: datetime) -> Any:
        return len(state)


def record(pos: int, offset: int) -> ConsumerRecord:
    headers = (("pos", b"%d" % pos),)
    return ConsumerRecord("user-events", 0, offset, 0, 0, None, BODY, None, -1, len(BODY), headers)


@dataclass
class Model:
    """The outbox, the relay, a broker and a shard with its PostgreSQL, without the machines."""

    placed: int = 0
    sent: int = 0
    broker: list[int] = field(default_factory=list)
    known_end: int = 0  # what the relay believes the broker has
    committed: int = 0
    results: list[tuple[int, list[int]]] = field(default_factory=list)
    snapshot: tuple[int, int, bytes] = (0, 0, b"")
    offset_hint: int = 0
    owned: Owned | None = None
    position: int = 0
    pending: list[Batch] = field(default_factory=list)
    refill_from: int | None = None
    epoch: int = 0

    # the relay

    def place(self, count: int) -> None:
        self.placed += count

    def send(self, count: int) -> None:
        end = min(self.placed, self.sent + count)
        self.broker.extend(range(self.sent, end))
        self.sent = end
        self.known_end = len(self.broker)

    def send_unrecorded(self, count: int) -> None:
        """Killed between sending and recording."""
        self.broker.extend(range(self.sent, min(self.placed, self.sent + count)))

    def audit(self) -> None:
        if len(self.broker) < self.known_end:
            self.sent = min(self.sent, self.snapshot[0])
        if self.refill_from is not None:
            self.sent = min(self.sent, self.refill_from)
            self.refill_from = None
        self.known_end = len(self.broker)

    # the broker

    def lose(self, keep: int) -> None:
        del self.broker[min(keep, len(self.broker)) :]

    # the shard

    def take(self) -> Owned:
        self.epoch += 1
        pos, offset, body = self.snapshot
        lease = Lease("user-events", 0, self.epoch, 0, self.committed, self.offset_hint)
        pipeline = Adding()
        self.owned = Owned(
            pipeline,
            lease,
            state=pipeline.load("user-events", 0, body),
            pos=pos,
            offset=offset,
            dense=True,
            buried=set(),
            poison={},
        )
        self.position = self.offset_hint if pos == self.committed else offset
        self.pending = []
        return self.owned

    def crash(self) -> None:
        self.owned = None
        self.pending = []

    def poll(self, count: int, runner: asyncio.Runner) -> None:
        owned = self.owned or self.take()
        found = self.broker[self.position : self.position + count]
        records = [record(pos, self.position + i) for i, pos in enumerate(found)]
        self.position += len(found)
        batch = Batch()
        runner.run(owned.apply(records, batch))
        if batch.moves:
            self.pending.append(batch)

    def commit(self) -> None:
        for batch in self.pending:
            (move,) = batch.moves
            assert move.from_pos == self.committed, "the fence would refuse it"
            self.committed, self.offset_hint = move.to_pos, move.kafka_offset
            self.results.extend(batch.results)
        self.pending = []

    def take_snapshot(self) -> None:
        self.commit()
        if self.owned and self.owned.cursor.live:
            found = self.owned.snapshot()
            self.snapshot = (found.pos, found.kafka_offset, found.body)

    def work(self, count: int, runner: asyncio.Runner) -> None:
        """All goes well for a while."""
        self.place(count)
        self.send(count)
        self.poll(count, runner)
        self.commit()

    def settle(self) -> None:
        owned = self.owned or self.take()
        remedy = owned.cursor.check(
            position=self.position, highwater=len(self.broker), sent_pos=self.sent
        )
        if remedy is Remedy.REWIND:
            self.position = 0
        elif remedy is Remedy.REFILL:
            self.refill_from = owned.cursor.next_pos


small = st.integers(1, 8)
actions = st.one_of(
    st.tuples(st.just("work"), small),
    st.tuples(st.just("place"), small),
    st.tuples(st.just("send"), small),
    st.tuples(st.just("send_unrecorded"), small),
    st.tuples(st.just("audit")),
    st.tuples(st.just("lose"), st.integers(0, 8)),
    st.tuples(st.just("crash")),
    st.tuples(st.just("poll"), small),
    st.tuples(st.just("commit")),
    st.tuples(st.just("take_snapshot")),
    st.tuples(st.just("settle")),
)


@given(st.lists(actions, max_size=60))
@settings(max_examples=300)
def test_any_interleaving_applies_each_event_once_in_order(
    runner: asyncio.Runner, script: list[tuple[Any, ...]]
) -> None:
    model = Model()
    for name, *arguments in script:
        if name in ("poll", "work"):
            arguments.append(runner)
        getattr(model, name)(*arguments)
    model.place(1)
    calm = 0
    for _ in range(60):  # then everybody lives, and the end comes
        model.audit()
        model.send(10_000)
        model.poll(10_000, runner)
        model.commit()
        model.settle()
        calm += model.committed == model.placed
        if calm > 10:  # nothing comes after the end
            break
    assert model.committed == model.placed
    assert [pos for pos, _ in model.results] == list(range(model.placed))
    for pos, state in model.results:
        assert state == list(range(pos + 1)), "replay lost or doubled something"


def test_foreign_records_may_have_holes() -> None:
    cursor = Cursor(5, live_pos=5)
    assert cursor.accepts(9, dense=False)
    assert not cursor.accepts(4, dense=False)
    assert not cursor.accepts(9, dense=True)
    assert cursor.gap


def test_a_quiet_partition_needs_nothing() -> None:
    cursor = Cursor(5, live_pos=5)
    for _ in range(50):
        assert cursor.check(position=5, highwater=5, sent_pos=5) is Remedy.NONE


def test_a_position_beyond_the_end_is_noticed_at_once() -> None:
    cursor = Cursor(5, live_pos=5)
    assert cursor.check(position=5, highwater=0, sent_pos=5) is Remedy.REWIND


def test_what_is_nowhere_to_be_found_is_asked_for_again_and_again() -> None:
    cursor = Cursor(5, live_pos=5)
    found = [cursor.check(position=3, highwater=3, sent_pos=9) for _ in range(40)]
    assert found.count(Remedy.REFILL) >= 2
    assert found.index(Remedy.REWIND) < found.index(Remedy.REFILL)
