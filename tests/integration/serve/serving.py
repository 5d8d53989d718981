"""A real server around an ASGI application."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from ecap.config import Settings
from ecap.config.secrets.keyring.ring import Keyring
from ecap.config.secrets.keyring.stores import FileKeyring, Plain


def ring(settings: Settings) -> Keyring:
    """The one that the servers were started with."""
    assert settings.keyring.file is not None
    return FileKeyring(settings.keyring.file, Plain()).load().ring


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A uvicorn on a free loopback port, and a client of it."""
    # The protocol is named so that asyncio turns Nagle off on what it accepts.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    # Whom to believe about addresses is the edge's own decision.
    config = uvicorn.Config(
        app,
        log_level="warning",
        lifespan="on",
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="uvicorn")
    while not server.started and not task.done():  # noqa: ASYNC110  uvicorn sets a flag
        await asyncio.sleep(0.005)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        await task
        listener.close()
