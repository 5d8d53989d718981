"""A killed embedded server comes back by itself, at its place."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from ecap.config import load
from ecap.errors import Unavailable
from ecap.local.process.process import Started
from ecap.local.servers.restarts import kept
from ecap.local.servers.servers import plan, running
from ecap.local.state import runtime
from ecap.local.state.folder import StateDir, open_state
from ecap.local.state.runtime import Runtime


@pytest.fixture
def state() -> Iterator[StateDir]:
    # Not tmp_path: the unprivileged account of PostgreSQL has to reach it.
    with tempfile.TemporaryDirectory(prefix="ecap-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        found = open_state(Path(folder) / "state")
        found.create()
        yield found


async def test_killed_servers_are_started_again(state: StateDir) -> None:
    settings = load({}, secrets=False)
    notes: list[str] = []
    planned = plan(settings, state, environ={}, durable=False, beside_others=True)
    async with running(planned) as first, kept(state, planned.servers, note=notes.append):
        for server in first.servers:
            os.kill(server.pid, signal.SIGKILL)
        await _until_all_are_back(notes, first)
        after = runtime.read(state)
        assert after is not None
        for server in first.servers:
            found = after.server(server.name)
            assert found is not None
            assert found.pid != server.pid
            assert found.port == server.port
        assert sorted(notes)[0] == "kafka was ended by SIGKILL and was started again"
        # The data, the passwords and the secrets are those of before.
        workers = load(first.environ).postgres
        assert workers.password is not None
        connection = await asyncpg.connect(
            host=workers.host,
            port=workers.port,
            user=workers.user,
            database=workers.database,
            password=workers.password.get_secret_value(),
        )
        await connection.close()


async def _until_all_are_back(notes: list[str], first: Runtime) -> None:
    deadline = time.monotonic() + 120
    while len(notes) < len(first.servers):
        assert time.monotonic() < deadline, notes
        await asyncio.sleep(0.05)


async def test_what_was_told_to_stop_stays_down(state: StateDir) -> None:
    settings = load({}, secrets=False)
    notes: list[str] = []
    planned = plan(settings, state, environ={}, durable=False, beside_others=True)
    async with running(planned), kept(state, planned.servers, note=notes.append):
        pass
    assert notes == []


class Slow:
    """At its second start it runs, but is not ready in time."""

    name = "slow"

    def __init__(self, log: Path) -> None:
        self.starts = 0
        self.gone = asyncio.Event()
        self.gone.set()
        self._log = log

    async def start(self) -> Started:
        assert self.gone.is_set(), "the one before still has the port"
        self.starts += 1
        self.gone.clear()
        if self.starts == 2:
            raise Unavailable("not ready in time")
        return Started(1, self._log)

    async def stop(self) -> None:
        self.gone.set()

    async def ended(self) -> str:
        await self.gone.wait()
        return "was ended"


async def test_what_was_not_ready_in_time_is_started_once_more(
    state: StateDir, tmp_path: Path
) -> None:
    server = Slow(tmp_path / "log")
    await server.start()
    notes: list[str] = []
    async with kept(state, [server], note=notes.append):
        server.gone.set()
        async with asyncio.timeout(60):
            while not notes:  # noqa: ASYNC110  nothing tells
                await asyncio.sleep(0.02)
    assert server.starts == 3
    assert notes == ["slow was ended and was started again"]
