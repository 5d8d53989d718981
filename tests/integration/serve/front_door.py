"""Several services behind one port, as the proxy in front of them routes by prefix."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from integration.serve.serving import serving

from ecap.config import Settings
from ecap.serve.edge.asgi import Edge
from ecap.serve.endpoints.routing import Api
from ecap.serve.replica.process import Actors
from ecap.serve.replica.replica import Opener, build

Service = tuple[Api, Opener[Any]]


@asynccontextmanager
async def alive(app: Edge) -> AsyncIterator[None]:
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put), name="lifespan")
    await inbox.put({"type": "lifespan.startup"})
    await asyncio.wait(
        {task, waiting := asyncio.create_task(outbox.get(), name="startup")},
        return_when=asyncio.FIRST_COMPLETED,
    )
    if task.done():
        waiting.cancel()
        task.result()
    try:
        yield
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        await task


class Door:
    def __init__(self) -> None:
        self.edges: dict[str, Edge] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        for prefix, edge in sorted(self.edges.items(), reverse=True):
            if scope["path"].startswith(prefix):
                await edge(scope, receive, send)
                return
        head = {"type": "http.response.start", "status": 503, "headers": []}
        await send(head)
        await send({"type": "http.response.body", "body": b"no service"})


@asynccontextmanager
async def front_door(
    settings: Settings, *services: Service, actors: Actors | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    door: Any = Door()
    async with serving(door) as client, AsyncExitStack() as stack:
        http = settings.http.model_copy(update={"port": client.base_url.port})
        here = settings.model_copy(update={"http": http})
        for api, opener in services:
            edge = build(api, opener, here, actors=actors)
            await stack.enter_async_context(alive(edge))
            door.edges[api.prefix] = edge
        yield client


def claims_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, body, _ = token.split(".")
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, body)
    )
    return header, claims
