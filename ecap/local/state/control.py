"""A Unix socket on which the owner answers `ecap status`: Ray is slow to connect to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

_MAX_BYTES = 1 << 20
_TIMEOUT_S = 10.0


@asynccontextmanager
async def serving(path: Path, answer: Callable[[], Awaitable[Any]]) -> AsyncIterator[None]:
    """At `path`, which has to be new and in a folder that others cannot enter."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(msgspec.json.encode(await answer()) + b"\n")
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_unix_server(handle, path)
    async with server:
        yield


async def ask(path: Path) -> Any:
    """None when nobody answers: not started yet, or busy with its end."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=_MAX_BYTES)
            try:
                return msgspec.json.decode(await reader.readline())
            finally:
                writer.close()
    except (OSError, TimeoutError, msgspec.DecodeError):
        return None
