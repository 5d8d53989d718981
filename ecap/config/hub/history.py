"""What happened to the configuration: append-only, each entry sealed by the hash of the one before.

The history is the hub's only memory. `state` beside an entry is the whole accepted
configuration, encrypted; it is no part of the chain, so that it can be encrypted
again under a new key, but the chain holds who changed what, with secrets left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from ecap.errors import Fenced, Misconfigured

Kind = Literal[
    "booted",  # a cluster started: `version` is what it starts with
    "proposed",  # members are asked
    "refused",  # nobody runs it
    "canary",  # some members run it
    "applied",  # decided: all members are to run it
    "rolled-back",  # decided: all members are to run `version`, which undoes body["undoes"]
    "settled",  # every member that lives runs it
]
DECISIONS: frozenset[Kind] = frozenset({"booted", "applied", "rolled-back"})
GENESIS = "0" * 64


class Event(msgspec.Struct, frozen=True):
    """An entry before it has its place."""

    version: int
    kind: Kind
    at: float
    """Unix time."""
    author: str
    reason: str
    body: dict[str, Any] = {}


class Entry(msgspec.Struct, frozen=True):
    seq: int
    version: int
    kind: Kind
    at: float
    author: str
    reason: str
    body: dict[str, Any]
    previous: str
    hash: str


class History(Protocol):
    async def append(
        self, events: Sequence[Event], *, after: Entry | None, state: bytes | None
    ) -> Entry:
        """All of them or none; answers the last, to which `state` belongs.

        Raises Fenced when `after` is not the last entry: another hub is at work.
        """
        ...

    async def entries(self, *, after_seq: int = 0, limit: int | None = None) -> Sequence[Entry]: ...

    async def last(self) -> Entry | None: ...

    async def state(self, version: int) -> bytes | None:
        """As accepted with `version`."""
        ...


def chained(events: Iterable[Event], after: Entry | None) -> list[Entry]:
    """Each behind the one before."""
    entries: list[Entry] = []
    for event in events:
        after = _chained(event, after)
        entries.append(after)
    return entries


def _chained(event: Event, after: Entry | None) -> Entry:
    seq = 1 if after is None else after.seq + 1
    previous = GENESIS if after is None else after.hash
    # Through JSON once, so that what is hashed is what a store gives back.
    body = msgspec.json.decode(msgspec.json.encode(event.body))
    entry = Entry(
        seq=seq,
        version=event.version,
        kind=event.kind,
        at=event.at,
        author=event.author,
        reason=event.reason,
        body=body,
        previous=previous,
        hash="",
    )
    return msgspec.structs.replace(entry, hash=_hash(entry))


def _hash(entry: Entry) -> str:
    content = msgspec.json.encode(msgspec.structs.replace(entry, hash=""), order="sorted")
    return hashlib.sha256(content).hexdigest()


def verify(entries: Iterable[Entry]) -> int:
    """How many are in order. Raises Misconfigured naming the first that was altered."""
    count = 0
    before: Entry | None = None
    for entry in entries:
        previous = GENESIS if before is None else before.hash
        expected_seq = 1 if before is None else before.seq + 1
        if entry.seq != expected_seq or entry.previous != previous or entry.hash != _hash(entry):
            raise Misconfigured(
                f"the configuration history was altered at entry {entry.seq};"
                " compare it with a backup of the database"
            )
        before = entry
        count += 1
    return count


class MemoryHistory:
    """For tests, and where nothing has to outlive the process."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._states: dict[int, bytes] = {}

    async def append(
        self, events: Sequence[Event], *, after: Entry | None, state: bytes | None
    ) -> Entry:
        last = self._entries[-1] if self._entries else None
        if last != after:
            raise Fenced("another hub has written to the configuration history")
        entries = chained(events, after)
        self._entries += entries
        if state is not None:
            self._states[entries[-1].version] = state
        return entries[-1]

    async def entries(self, *, after_seq: int = 0, limit: int | None = None) -> Sequence[Entry]:
        found = [entry for entry in self._entries if entry.seq > after_seq]
        return found if limit is None else found[:limit]

    async def last(self) -> Entry | None:
        return self._entries[-1] if self._entries else None

    async def state(self, version: int) -> bytes | None:
        return self._states.get(version)
