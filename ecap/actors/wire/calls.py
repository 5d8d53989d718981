"""Calls to an actor over its socket, where it has one on this node; else by another way."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from ecap.actors.wire.packets import question, unpacked
from ecap.actors.wire.sockets import MAX_BODY_BYTES, Connection, check_folder, path_of
from ecap.errors import DeadlineExceeded, Unavailable
from ecap.mesh import Transport

# A file that a killed process left behind is tried so often, and not by each call.
_QUIET_S = 1.0
_GREETED_S = 1.0


class SocketTransport:
    """To an actor by name; `beyond` is the way where no socket of it answers here.

    One connection an event loop, made when it is first needed and again when it was lost.
    """

    def __init__(
        self,
        actor: str,
        folder: Path,
        *,
        beyond: Transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._actor = actor
        self._folder = folder
        self._path = os.fspath(path_of(actor, folder))
        self._beyond = beyond
        self._clock = clock
        self._ways: dict[asyncio.AbstractEventLoop, _Way] = {}

    async def send(
        self, method: str, payload: Any, headers: Mapping[str, str], timeout_s: float
    ) -> Any:
        """Raises Misconfigured for a folder that others can reach into."""
        line = await self._line()
        asked = question(method, payload, headers)
        if line is None or len(asked) > MAX_BODY_BYTES:
            # Nothing has been sent, so going the other way repeats nothing.
            return await self._beyond.send(method, payload, headers, timeout_s)
        try:
            answer = await line.ask(asked, timeout_s)
        except TimeoutError as exc:
            raise DeadlineExceeded(f"{self._actor}: no answer in {timeout_s:.3f} s") from exc
        if answer is None:
            raise Unavailable(f"{self._actor} has died", retry_after_s=0.1)
        return unpacked(answer)

    def close(self) -> None:
        """The connection of this event loop. Calls that are under way fail."""
        way = self._ways.pop(asyncio.get_running_loop(), None)
        if way is not None and way.line is not None:
            way.line.transport.close()

    async def _line(self) -> _Line | None:
        loop = asyncio.get_running_loop()
        way = self._ways.get(loop)
        if way is None:
            self._ways = {one: way for one, way in self._ways.items() if not one.is_closed()}
            way = self._ways[loop] = _Way()
        if (line := way.usable) is not None:
            return line
        if not self._promising(way):
            return None
        async with way.lock:
            # Others wait here for the same connection.
            if way.usable is None and self._promising(way):
                try:
                    way.line = await self._connected()
                finally:  # also when whoever tries gives up
                    if way.usable is None:
                        way.quiet_until_s = self._clock() + _QUIET_S
            return way.usable

    def _promising(self, way: _Way) -> bool:
        return self._clock() >= way.quiet_until_s and os.path.exists(self._path)

    async def _connected(self) -> _Line | None:
        loop = asyncio.get_running_loop()
        try:
            check_folder(self._folder)
            _, line = await loop.create_unix_connection(lambda: _Line(self._actor), self._path)
        except OSError:
            return None
        greeted = False
        try:
            async with asyncio.timeout(_GREETED_S):
                greeted = await line.ready
        except TimeoutError:
            return None
        finally:
            # Also when whoever tries is cancelled: nobody else knows of this connection.
            if not greeted:
                line.transport.abort()
        return line


class _Way:
    """What one event loop knows of an actor's socket."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.line: _Line | None = None
        self.quiet_until_s = 0.0

    @property
    def usable(self) -> _Line | None:
        return self.line if self.line is not None and self.line.open else None


class _NoAnswer(Enum):
    """Results and no errors: those would have to be looked at, also by who went away."""

    LOST = "the connection ended"
    LATE = "the time is over"


class _Line(Connection):
    """The caller's end."""

    def __init__(self, actor: str) -> None:
        super().__init__(actor)
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._numbers = itertools.count()
        self._pending: dict[int, asyncio.Future[bytes | _NoAnswer]] = {}
        self._room = asyncio.Event()
        self._room.set()

    async def ask(self, question: bytes, timeout_s: float) -> bytes | None:
        """None when the connection was lost before the answer came. Raises TimeoutError.

        The timer is on the answer, which takes less than `asyncio.timeout` around it.
        """
        if not self.open:
            return None
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        answer: asyncio.Future[bytes | _NoAnswer] = loop.create_future()
        self._pending[number] = answer
        timer = loop.call_later(timeout_s, _expire, answer)
        try:
            if not self._room.is_set():
                async with asyncio.timeout(timeout_s):
                    while not self._room.is_set():
                        await self._room.wait()
            self.write(number, question)
            found = await answer
        finally:
            timer.cancel()
            del self._pending[number]
        if found is _NoAnswer.LATE:
            raise TimeoutError
        return None if found is _NoAnswer.LOST else found

    def received(self) -> None:
        if not self.ready.done():
            self.ready.set_result(True)
        while frame := self.next_frame():
            number, body = frame
            waiting = self._pending.get(number)
            # Whoever asked may have been cancelled, or be out of time.
            if waiting is not None and not waiting.done():
                waiting.set_result(body)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_result(False)
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_result(_NoAnswer.LOST)
        # Who waits to write has to wake as well, and finds its answer lost.
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()


def _expire(answer: asyncio.Future[bytes | _NoAnswer]) -> None:
    if not answer.done():
        answer.set_result(_NoAnswer.LATE)
