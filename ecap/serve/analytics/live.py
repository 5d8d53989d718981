"""Changes as they are committed, to everybody who listens to this replica.

One task polls by revision, however many listen, and only while somebody does. A
listener that falls behind is let go; with Last-Event-ID it resumes without a gap.
Every event carries the whole new value of a cell: reading one twice does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import msgspec

from ecap import logs
from ecap.clients.postgres import Record
from ecap.errors import Overloaded, Retryable
from ecap.serve.analytics.store import Analytics

_log = logs.get("ecap.analytics")
_BATCH = 500
_BLOCKS = 64
_SNAPSHOT = timedelta(minutes=15)
_encode = msgspec.json.Encoder().encode

Blocks = asyncio.Queue[bytes | None]


class Live:
    """`life_s`: a stream ends after this, so that it does not outlive its access token."""

    def __init__(
        self,
        store: Analytics,
        *,
        max_listeners: int,
        life_s: float,
        poll_s: float = 0.5,
        heartbeat_s: float = 15.0,
    ) -> None:
        self._store = store
        self._max_listeners = max_listeners
        self._life_s = life_s
        self._poll_s = poll_s
        self._heartbeat_s = heartbeat_s
        self._listeners: set[Blocks] = set()
        self._wanted = asyncio.Event()
        self._cursor: int | None = None
        self._closed = False

    def reconfigure(self, *, life_s: float) -> None:
        """For streams that begin now."""
        self._life_s = life_s

    async def run(self) -> None:
        """Poll and hand out. Never ends by itself."""
        while True:
            await self._wanted.wait()
            try:
                full = await self._poll()
            except Retryable as exc:
                _log.warning("live streams stand still", extra={"error": exc.detail})
                full = False
            if not full:
                await asyncio.sleep(self._poll_s)

    async def _poll(self) -> bool:
        assert self._cursor is not None
        found = await self._store.changes(after=self._cursor, upto=None, limit=_BATCH)
        if not self._listeners:
            self._wanted.clear()
            self._cursor = None
            return False
        if found:
            self._cursor = found[-1]["revision"]
            self._hand_out(_block(found))
        return len(found) == _BATCH

    def _hand_out(self, block: bytes) -> None:
        for blocks in list(self._listeners):
            try:
                blocks.put_nowait(block)
            except asyncio.QueueFull:
                self._let_go(blocks)

    def _let_go(self, blocks: Blocks) -> None:
        self._listeners.discard(blocks)
        while not blocks.empty():
            blocks.get_nowait()
        blocks.put_nowait(None)

    def close(self) -> None:
        """Every stream ends; none begins."""
        self._closed = True
        for blocks in list(self._listeners):
            self._let_go(blocks)

    def admit(self) -> None:
        """Raises Overloaded where a stream cannot begin."""
        if self._closed or len(self._listeners) >= self._max_listeners:
            raise Overloaded("too many live streams here", retry_after_s=5.0)

    async def stream(self, last: int | None, *, now: datetime) -> AsyncIterator[bytes]:
        """What came after revision `last`, or the last minutes, and then what comes."""
        self.admit()
        blocks: Blocks = asyncio.Queue(_BLOCKS)
        upto = await self._join(blocks)
        try:
            yield b"retry: 2000\n\n"
            async for block in self._backlog(last, upto, now):
                yield block
            async for block in self._heard(blocks):
                yield block
        finally:
            self._listeners.discard(blocks)

    async def _join(self, blocks: Blocks) -> int:
        """The revision after which `blocks` gets everything."""
        if self._cursor is None:
            revision = await self._store.revision()
            # Somebody else may have joined meanwhile.
            self._cursor = revision if self._cursor is None else self._cursor
        self._listeners.add(blocks)
        self._wanted.set()
        return self._cursor

    async def _backlog(self, last: int | None, upto: int, now: datetime) -> AsyncIterator[bytes]:
        if last is None:
            found = await self._store.recent(since=now - _SNAPSHOT, upto=upto)
            if found:
                yield _block(found)
            return
        while found := await self._store.changes(after=last, upto=upto, limit=_BATCH):
            yield _block(found)
            last = found[-1]["revision"]

    async def _heard(self, blocks: Blocks) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._life_s
        while loop.time() < ends:
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    block = await blocks.get()
            except TimeoutError:
                block = b": nothing new\n\n"
            if block is None:
                return
            yield block


def _block(rows: Sequence[Record]) -> bytes:
    return b"".join(_written(row) for row in rows)


def _written(row: Record) -> bytes:
    kind = row["kind"]
    data = {
        "minute": row["minute"],
        "outcome": row["outcome"],
        "amount": f"{row['amount']:.2f}",
        "units" if kind == "revenue" else "orders": row["count"],
    }
    if kind == "revenue":
        data["category"] = row["category"]
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (row["revision"], kind.encode(), _encode(data))
