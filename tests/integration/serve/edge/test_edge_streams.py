"""Server-sent events and the life of an edge, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from integration.serve.front_door import alive
from integration.serve.serving import serving

from ecap.config.settings.http import Http
from ecap.config.settings.limits import Limits
from ecap.errors import Misconfigured
from ecap.serve.edge.asgi import Edge
from ecap.serve.edge.parts import EdgeParts
from ecap.serve.edge.tokens import TokenVerifier
from ecap.serve.endpoints.routing import Api, Call, Events

api = Api("streams", prefix="/streams", title="Streams")


class Tap:
    def __init__(self) -> None:
        self.opened = 0
        self.closed = asyncio.Event()

    async def run(self) -> AsyncIterator[bytes]:
        self.opened += 1
        try:
            yield b"data: first\n\n"
            while True:
                await asyncio.sleep(0.01)
                yield b": still here\n\n"
        finally:
            self.closed.set()

    async def break_(self) -> AsyncIterator[bytes]:
        yield b"data: first\n\n"
        raise RuntimeError("broken")


@api.get("/tap", scope=None, media="text/event-stream")
async def tap(call: Call[Tap]) -> Events:
    """Listen."""
    return Events(call.state.run())


@api.get("/broken", scope=None, media="text/event-stream")
async def broken(call: Call[Tap]) -> Events:
    """Listen to what breaks."""
    return Events(call.state.break_())


def edge_of(state: Any) -> Edge:
    async def jwks() -> Any:
        return {"keys": []}

    @asynccontextmanager
    async def opening() -> AsyncIterator[EdgeParts]:
        if isinstance(state, Exception):
            raise state
        yield EdgeParts(state, TokenVerifier(jwks, issuer="i", audience="a"), None)

    return Edge(api, opening, http=Http(), rate=Limits(enabled=False))


async def test_a_stream_ends_with_its_reader() -> None:
    state = Tap()
    async with serving(edge_of(state)) as client:
        async with client.stream("GET", "/streams/tap") as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-request-id"]
            lines = answer.aiter_lines()
            assert await anext(lines) == "data: first"
            assert not state.closed.is_set()
        async with asyncio.timeout(5):
            await state.closed.wait()


async def test_head_opens_no_stream() -> None:
    state = Tap()
    async with serving(edge_of(state)) as client:
        answer = await client.head("/streams/tap")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert state.opened == 0


async def test_a_stream_that_breaks_is_cut_off() -> None:
    async with serving(edge_of(Tap())) as client:
        async with client.stream("GET", "/streams/broken") as answer:
            assert answer.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                await answer.aread()
        assert (await client.head("/streams/tap")).status_code == 200


async def test_503_before_the_start_and_after_the_end() -> None:
    edge = edge_of(Tap())

    async def ask() -> int:
        found: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            found.append(message)

        scope: dict[str, Any] = {
            "type": "http",
            "method": "HEAD",
            "path": "/streams/tap",
            "headers": [],
        }
        scope["query_string"] = b""
        await edge(scope, receive, send)
        status: int = found[0]["status"]
        return status

    assert await ask() == 503
    async with alive(edge):
        assert await ask() == 200
    assert await ask() == 503


async def test_a_service_that_cannot_open_says_why() -> None:
    with pytest.raises(Misconfigured, match="no key"):
        async with alive(edge_of(Misconfigured("no key"))):
            pass


async def test_websockets_are_turned_away() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    await edge_of(Tap())({"type": "websocket"}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1000}]
