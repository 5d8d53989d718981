"""What `ecap up` says of its front door, beside a real server that comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ecap.local.ray import front_door


@asynccontextmanager
async def door(port: int, status: str) -> AsyncIterator[tuple[int, asyncio.Queue[None]]]:
    """Its port, and a note for each time it was asked."""
    asked: asyncio.Queue[None] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()
        asked.put_nowait(None)

    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        yield server.sockets[0].getsockname()[1], asked


async def test_it_says_when_it_is_away_and_when_it_is_back() -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    async with asyncio.timeout(20), door(0, "200 OK") as (port, asked):
        url = f"http://127.0.0.1:{port}"
        watching = asyncio.create_task(front_door.watched(url, note=said.put_nowait))
        await asked.get()
    async with asyncio.timeout(20):
        away = await said.get()
        assert away.startswith("the front door is away: it refuses connections")
        async with door(port, "503 Service Unavailable") as (_, asked):
            for _ in range(3):  # it knows no service yet
                await asked.get()
            assert said.empty()
        async with door(port, "200 OK") as (_, asked):
            assert (await said.get()).startswith("the front door is back after ")
            for _ in range(3):
                await asked.get()
            assert said.empty()
        async with door(port, "503 Service Unavailable"):
            assert "away: " in await said.get()
    watching.cancel()
    await asyncio.wait({watching})
