"""A server that says farewell: its last message is here, the end of the connection is not yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ecap.clients.postgres import open_pool, translated
from ecap.config import Settings
from ecap.errors import Unavailable


class Line:
    """Passes bytes on, and keeps from the client that the server hung up."""

    def __init__(self, settings: Settings) -> None:
        self._host, self._port = settings.postgres.host, settings.postgres.port
        self.hung_up = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        asking = asyncio.create_task(_pass_on(reader, far_writer), name="asking")
        try:
            await _pass_on(far_reader, writer)
            self.hung_up.set()
            await asking
        finally:
            writer.close()
            far_writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()


@asynccontextmanager
async def behind_a_line(settings: Settings) -> AsyncIterator[tuple[Settings, Line]]:
    line = Line(settings)
    async with await asyncio.start_server(line.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        there = settings.postgres.model_copy(update={"port": port, "sslmode": "disable"})
        yield settings.model_copy(update={"postgres": there}), line


async def test_between_farewell_and_end_it_is_away(settings: Settings) -> None:
    async with (
        behind_a_line(settings) as (there, line),
        open_pool(settings.postgres, service="beside") as beside,
        open_pool(there.postgres, service="farewell") as pool,
    ):

        async def ask() -> None:
            async with pool.connection() as conn:
                pid = await conn.fetchval("SELECT pg_backend_pid()")
                await beside.execute("SELECT pg_terminate_backend($1)", pid)
                await line.hung_up.wait()
                # The message has to be read, which takes the loop one turn.
                await asyncio.sleep(0)
                with translated():
                    await conn.fetchval("SELECT 1", timeout=20)

        with pytest.raises(Unavailable):
            await ask()
