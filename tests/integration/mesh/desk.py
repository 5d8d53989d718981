"""One callee behind three transports: in this process, over HTTP, and over a Unix socket."""

from __future__ import annotations

import asyncio
import pickle
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ecap.actors.wire.calls import SocketTransport
from ecap.actors.wire.listener import listening
from ecap.actors.wire.packets import answered
from ecap.errors import EcapError, NotFound
from ecap.mesh import CallContext
from ecap.serve.endpoints import problems


class Desk:
    """Answers what a test told it to; an exception is raised, an event waited for."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.seen: list[tuple[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.peers: list[Any] = []

    def will(self, method: str, *answers: Any) -> None:
        self.answers[method] = list(answers)

    @property
    def context(self) -> CallContext:
        return CallContext.from_headers(self.headers[-1], now=time.monotonic())

    async def handle(self, method: str, payload: Any, headers: Mapping[str, str]) -> Any:
        self.seen.append((method, payload))
        self.headers.append(headers)
        answers = self.answers.get(method)
        if answers is None:
            raise NotFound(f"no {method} here")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return None
        if isinstance(answer, Exception):
            raise answer
        return answer


class InProcess:
    """Values and errors are copied on the way, as between processes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def send(
        self, method: str, payload: Any, headers: Mapping[str, str], timeout_s: float
    ) -> Any:
        try:
            answer = await self._desk.handle(method, _copied(payload), headers)
        except EcapError as error:
            raise pickle.loads(pickle.dumps(error)) from None  # noqa: S301  our own bytes
        return _copied(answer)


def _copied(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


@asynccontextmanager
async def at_socket(desk: Desk, folder: Path) -> AsyncIterator[SocketTransport]:
    def answer(question: bytes) -> Awaitable[bytes]:
        return answered("desk", desk.handle, question)

    async with listening("desk", folder, answer):
        # Nothing is beyond: a call that missed the socket would fail.
        transport = SocketTransport("desk", folder, beyond=InProcess(Desk()))
        yield transport
        transport.close()


class App:
    """The desk as an ASGI application; a `Response` of the desk is sent as it is."""

    desk: Desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.desk.peers.append(request.client)
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        try:
            answer = await self.desk.handle(
                f"{request.method} {target}",
                msgspec.json.decode(body) if body else None,
                request.headers,
            )
        except EcapError as error:
            status, document, headers = problems.of(error, request_id="r")
            response = Response(document, status)
            response.raw_headers.extend(headers)
        else:
            response = answer if isinstance(answer, Response) else _json(answer)
        await response(scope, receive, send)


def _json(answer: Any) -> Response:
    if answer is None:
        return Response(status_code=204)
    return Response(msgspec.json.encode(answer), media_type="application/json")


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """The address of a real uvicorn on a free port of the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None)
        server = uvicorn.Server(config)
        # In a thread uvicorn leaves the signal handlers of pytest alone.
        thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn")
        thread.start()
        while not server.started:  # noqa: ASYNC110  uvicorn tells it in no other way
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = server.force_exit = True
        await asyncio.to_thread(thread.join)


@asynccontextmanager
async def hanging_up() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers the first request of a connection and hangs up on the second.

    Yields its address and the request lines it received.
    """
    received: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(2):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            received.append(head.split(b"\r\n")[0])
            if number == 0:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", received


def unused_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
