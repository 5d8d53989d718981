"""The embedded PostgreSQL: TCP on loopback, SCRAM, durable, its data kept between starts.

The application's role owns its database and nothing more; the superuser exists
for `pg_stat_statements` and repairs, with a password of its own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

from ecap.errors import Misconfigured, Unavailable
from ecap.local.process.ports import LOOPBACK
from ecap.local.process.process import Child, Started, plain_environ, spawn, tail
from ecap.local.servers.placement import VERSION, Place
from ecap.local.state.folder import StateDir, write_private

_MAJOR = VERSION.partition(".")[0]
_POLL_S = 0.005
_READY_S = 30.0

SUPERUSER = "postgres"

# For a laptop: two cores, a few hundred megabytes, an SSD. fsync stays on: it is the truth.
_SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "128MB",
    "max_connections": "150",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than our queries take
    "io_method": "sync",  # three fewer processes
    "max_worker_processes": "4",
    "max_parallel_workers_per_gather": "1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "500ms",
    "log_parameter_max_length": "0",  # bound values may be secrets
    "pg_stat_statements.track_utility": "off",  # as is the password of CREATE ROLE
}


class Postgres:
    name = "postgres"

    def __init__(
        self,
        state: StateDir,
        *,
        port: int,
        user: str,
        database: str,
        password_file: Path,
        superuser_password_file: Path,
        durable: bool,
    ) -> None:
        self.port = port
        self._state = state
        self._user = user
        self._database = database
        self._password_file = password_file
        self._superuser_password_file = superuser_password_file
        self._durable = durable
        self._child: Child | None = None

    async def start(self) -> Started:
        place = Place.find(self._state)
        await asyncio.to_thread(place.disown_strangers)
        if not place.data.exists():
            await asyncio.to_thread(place.prepare)
            await self._initialize(place)
            place.remember()
        _check_version(place.data)
        settings = {**_SETTINGS, "fsync": "on" if self._durable else "off"}
        if not self._durable:
            # A commit that was answered survives the server's own crash all the same:
            # without synchronous_commit it would not.
            settings["full_page_writes"] = "off"
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self._child = await spawn(
            self._state,
            self.name,
            # -k "": no Unix socket, whose path may be too long and whose folder others may enter.
            *(place.bin / "postgres", "-D", place.data),
            *("-h", LOOPBACK, "-p", str(self.port), "-k", "", *options),
            environ=plain_environ(place.data),
            account=self._state.account,
            stop_signal=signal.SIGINT,  # SIGTERM would wait for every client to leave
        )
        await self._ready(place, self._child)
        return self._child.started

    async def stop(self) -> None:
        if self._child:
            await self._child.stop(timeout_s=30.0)

    async def ended(self) -> str:
        assert self._child is not None
        return await self._child.ended()

    async def _ready(self, place: Place, child: Child) -> None:
        """What pg_ctl does: the eighth line of postmaster.pid says `ready`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _READY_S
        pid_file = place.data / "postmaster.pid"
        while loop.time() < deadline:
            child.check()
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            if len(lines) >= 8 and lines[0] == str(child.pid) and lines[7].strip() == "ready":
                return
            await asyncio.sleep(_POLL_S)
        raise Unavailable(
            f"PostgreSQL is not ready after {_READY_S:.0f} s:\n{tail(child.log_path)}"
        )

    async def _initialize(self, place: Place) -> None:
        """Built beside its final name, so that a crash half way leaves nothing behind."""
        building = place.data.with_name("postgres.new")
        await asyncio.to_thread(shutil.rmtree, building, ignore_errors=True)
        building.mkdir(mode=0o700)
        password = place.data.with_name("postgres.password")
        write_private(password, self._superuser_password_file.read_bytes())
        if account := self._state.account:
            os.chown(building, account.uid, account.gid)
            os.chown(password, account.uid, account.gid)
        try:
            await self._run(
                *(place.bin / "initdb", "-D", building, "-U", SUPERUSER, "-A", "scram-sha-256"),
                *("--pwfile", password, "-E", "UTF8", "--no-instructions", "--no-sync"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            )
        finally:
            password.unlink()
        # Single-user mode needs no password and no port; statements end with the line.
        await self._run(
            *(place.bin / "postgres", "--single", "-D", building, "-c", "fsync=off", "postgres"),
            stdin="\n".join(self._bootstrap()) + "\n",
        )
        await self._run(
            *(place.bin / "postgres", "--single", "-D", building, "-c", "fsync=off"),
            *("-c", "shared_preload_libraries=pg_stat_statements", self._database),
            stdin="CREATE EXTENSION pg_stat_statements\n",
        )
        if self._durable:
            await self._run(place.bin / "initdb", "-D", building, "--sync-only")
        building.rename(place.data)

    def _bootstrap(self) -> Iterable[str]:
        password = self._password_file.read_text().strip()
        yield f"CREATE ROLE {quoted(self._user)} LOGIN PASSWORD {literal(password)}"
        yield f"GRANT pg_monitor TO {quoted(self._user)}"
        yield f"CREATE DATABASE {quoted(self._database)} OWNER {quoted(self._user)}"

    async def _run(self, program: Path, *arguments: str | Path, stdin: str = "") -> None:
        account = self._state.account
        identity = (
            {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
        )
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=plain_environ(Path("/")),
            cwd="/",
            start_new_session=True,
            **identity,  # type: ignore[arg-type]
        )
        try:
            output, _ = await process.communicate(stdin.encode())
        finally:
            if process.returncode is None:
                process.kill()
        # Single-user mode reports a failed statement and still ends with 0.
        if process.returncode or b"ERROR:" in output or b"FATAL:" in output:
            raise Unavailable(f"{program.name} failed:\n{output.decode(errors='replace')}")


def _check_version(data: Path) -> None:
    theirs = (data / "PG_VERSION").read_text().strip()
    if theirs != _MAJOR:
        raise Misconfigured(
            f"{data} was written by PostgreSQL {theirs}, the embedded one is {_MAJOR}:"
            " dump it with the old version, or move it away to start empty"
        )


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
