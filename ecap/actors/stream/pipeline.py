"""What a stream pipeline is: a pure step over keyed state, and a sink.

The shard runtime owns everything else: partitions, fetching, decoding, order,
duplicates, dead letters, the fenced transaction, snapshots and replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, Protocol, TypeVar

from ecap.clients.postgres import Connection
from ecap.domain.events.envelope import Event

State = TypeVar("State")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Record:
    """`pos` is the dense position the outbox relay gave the event in its partition."""

    topic: str
    partition: int
    pos: int
    event: Event


class Pipeline(Protocol[State, Result]):
    """One state per partition; the runtime calls everything from one task. It may have
    `follows`: a change of what it made from settings is applied between two batches."""

    name: str
    topics: tuple[str, ...]

    def new_state(self, topic: str, partition: int) -> State: ...

    def dump(self, state: State) -> bytes:
        """A snapshot. Must not contain provisional things."""
        ...

    def load(self, topic: str, partition: int, snapshot: bytes) -> State: ...

    def apply(self, state: State, record: Record) -> Result | None:
        """Advance the state by one event; what it returns is written exactly once.

        Pure: no clock, no I/O; during replay the result is thrown away. Raise
        ValueError to send this event to the dead letters (state untouched).
        """
        ...

    async def write(self, conn: Connection, results: Sequence[Result]) -> None:
        """Write the results of a batch, in the transaction that moves the positions."""
        ...

    def answer(self, state: State, question: Any, *, now: datetime) -> Any:
        """A synchronous question about a key of this partition. May count provisionally."""
        ...


class Stateless:
    """What a pipeline has in common that keeps nothing and is asked nothing."""

    name: str

    def new_state(self, topic: str, partition: int) -> None:
        return None

    def dump(self, state: None) -> bytes:
        return b""

    def load(self, topic: str, partition: int, snapshot: bytes) -> None:
        return None

    def answer(self, state: None, question: object, *, now: datetime) -> NoReturn:
        raise TypeError(f"{self.name} answers from PostgreSQL")
