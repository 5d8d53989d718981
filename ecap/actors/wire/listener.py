"""An actor's socket: it answers the processes of its node without Ray in between."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ecap.actors.wire.packets import Raised, packed
from ecap.actors.wire.sockets import MAX_BODY_BYTES, Connection, check_folder, check_path, path_of
from ecap.errors import EcapError, Misconfigured, Unavailable

# Of one connection, so of one process; what it asks beyond waits in its own buffers.
_MAX_UNDER_WAY = 1000
# All processes of a node come at once when an actor was replaced.
_BACKLOG = 1024

Answer = Callable[[bytes], Awaitable[bytes]]


@asynccontextmanager
async def listening(actor: str, folder: Path | None, answer: Answer) -> AsyncIterator[None]:
    """`answer` must not raise. Without a folder nothing listens, and Ray carries every call.

    Raises Misconfigured when the folder is not safe, or its path too long.
    """
    if folder is None:
        yield
        return
    path = path_of(actor, folder)
    bound, ours = _bound(path)
    desk = _Desk(actor, answer)
    server = await asyncio.get_running_loop().create_unix_server(
        desk.connection, sock=bound, backlog=_BACKLOG
    )
    try:
        yield
    finally:
        # First the name: who does not find it calls through Ray at once, who finds it dead has
        # tried in vain.
        _remove(path, ours)
        server.close()
        await desk.close()


def _bound(path: Path) -> tuple[socket.socket, int]:
    """And the number of its file. It takes the place of what a killed process left behind."""
    check_path(path)
    bound = socket.socket(socket.AF_UNIX)
    made = path.with_name(f"{path.stem}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        check_folder(path.parent)
        made.unlink(missing_ok=True)
        bound.bind(os.fspath(made))
        bound.listen(_BACKLOG)
        ours = made.lstat().st_ino
        # Under its name only now that it listens: nobody ever finds a socket that refuses, and what
        # a predecessor left is replaced in one step.
        made.replace(path)
    except BaseException as exc:
        bound.close()
        if isinstance(exc, OSError):
            raise Misconfigured(f"mesh.socket_dir: nothing can listen at {path}: {exc}") from exc
        raise
    return bound, ours


def _remove(path: Path, ours: int) -> None:
    """Unless a successor listens there already."""
    try:
        if path.lstat().st_ino == ours:
            path.unlink()
    except FileNotFoundError:
        pass


class _Desk:
    """All connections of an actor, and the calls under way on them."""

    def __init__(self, actor: str, answer: Answer) -> None:
        self._actor = actor
        self._answer = answer
        self._connections: set[_Asked] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self._closing = False

    def connection(self) -> _Asked:
        return _Asked(self._actor, self)

    def entered(self, connection: _Asked) -> None:
        self._connections.add(connection)

    def left(self, connection: _Asked) -> None:
        """Its calls go on: what a process began before it died may have been half done."""
        self._connections.discard(connection)

    def begin(self, connection: _Asked, number: int, question: bytes) -> None:
        call = self._call(connection, number, question)
        task = asyncio.create_task(call, name=f"{self._actor} answers {number}")
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _call(self, connection: _Asked, number: int, question: bytes) -> None:
        try:
            try:
                body = await self._answer(question)
            except asyncio.CancelledError:
                if self._closing:
                    raise
                # Not of this call but of something it waited for: the caller must hear of it.
                body = packed(Raised(Unavailable(f"{self._actor} gave the call up")))
            if len(body) > MAX_BODY_BYTES:
                error = EcapError(f"{self._actor}: an answer of {len(body)} bytes is too large")
                body = packed(Raised(error))
            connection.write(number, body)
        finally:
            connection.ended()

    async def close(self) -> None:
        """Connections first, for a call that ends lets another in."""
        self._closing = True
        # In the other order, as it was once, each call that was cancelled let the next one in.
        for connection in list(self._connections):
            connection.transport.close()
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)


class _Asked(Connection):
    """The actor's end. It reads on only while it can also answer."""

    def __init__(self, actor: str, desk: _Desk) -> None:
        super().__init__(actor)
        self._desk = desk
        self._under_way = 0
        self._choked = False  # the caller does not read its answers

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._desk.entered(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._desk.left(self)

    def pause_writing(self) -> None:
        self._choked = True

    def resume_writing(self) -> None:
        self._choked = False
        self.received()

    def ended(self) -> None:
        self._under_way -= 1
        self.received()

    def received(self) -> None:
        while self.open and not self._full and (frame := self.next_frame()):
            self._under_way += 1
            self._desk.begin(self, *frame)
        if not self.open:
            return
        if self._full:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    @property
    def _full(self) -> bool:
        return self._choked or self._under_way >= _MAX_UNDER_WAY
