"""Child processes that outlive nothing: own session, own log, a pid file until they are gone.

A pid file names the process and its start time, so that the next start can end
what a killed owner left behind without ever hitting a stranger that got the pid.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import msgspec
import psutil

from ecap.errors import Misconfigured, Unavailable
from ecap.local.state.folder import Account, StateDir, write_private
from ecap.logs import get

log = get(__name__)

_SAME_START_S = 1.0


class PidFile(msgspec.Struct, frozen=True):
    pid: int
    started_at: float
    stop_signal: int


class Started(msgspec.Struct, frozen=True):
    pid: int
    log_path: Path


class Child:
    """One running server. `stop()` asks with `stop_signal`, insists with SIGKILL."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        *,
        name: str,
        log_path: Path,
        pid_path: Path,
        stop_signal: signal.Signals,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._process = process
        self._pid_path = pid_path
        self._stop_signal = stop_signal

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def started(self) -> Started:
        return Started(self.pid, self.log_path)

    def check(self) -> None:
        """Raises Unavailable with the end of the log when the process has ended."""
        if self._process.returncode is not None:
            raise Unavailable(
                f"{self.name} ended with status {self._process.returncode};"
                f" the end of {self.log_path}:\n{tail(self.log_path)}"
            )

    async def wait(self) -> int:
        return await self._process.wait()

    async def ended(self) -> str:
        """Waits for the end, and says how it came."""
        status = await self._process.wait()
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    async def stop(self, *, timeout_s: float = 10.0) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self._stop_signal)
            try:
                await asyncio.wait_for(self._process.wait(), timeout_s)
            except TimeoutError:
                log.warning("%s did not end in %.0f s, killing it", self.name, timeout_s)
                with contextlib.suppress(ProcessLookupError):
                    # With its session: its children may hold the port and the data.
                    os.killpg(self.pid, signal.SIGKILL)
                await self._process.wait()
        # When it has ended: if we are killed before, the next start finds the file and ends it.
        self._pid_path.unlink(missing_ok=True)


async def spawn(
    state: StateDir,
    name: str,
    program: Path,
    *arguments: str | Path,
    environ: Mapping[str, str],
    account: Account | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    stdin: int = asyncio.subprocess.DEVNULL,
) -> Child:
    """Start `program` with exactly `environ`, its output in `logs/<name>.log`.

    With a pipe for `stdin` it can notice that we are gone.
    """
    log_path = state.logs / f"{name}.log"
    if log_path.exists():
        log_path.replace(log_path.with_suffix(".previous.log"))
    fd = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    identity = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=stdin,
            stdout=fd,
            stderr=fd,
            env=dict(environ),
            cwd="/",
            start_new_session=True,
            **identity,  # type: ignore[arg-type]
        )
    finally:
        os.close(fd)
    # At once, with no await: a process without a file is one that nobody ends.
    pid_path = record(state, name, process.pid, stop_signal=stop_signal)
    return Child(process, name=name, log_path=log_path, pid_path=pid_path, stop_signal=stop_signal)


def wheel(package: str) -> Path:
    """The folder of an installed package, which is not imported: some do work at import."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise Misconfigured(
            f"the package {package} is not installed: install ECAP with its `local` extra,"
            " or configure the address of a server"
        )
    return Path(spec.origin).parent


def record(state: StateDir, name: str, pid: int, *, stop_signal: signal.Signals) -> Path:
    """The pid file of a process that somebody has to end if we cannot."""
    path = _pid_folder(state) / f"{name}.json"
    # One that has ended already needs nobody.
    with contextlib.suppress(psutil.NoSuchProcess):
        started_at = psutil.Process(pid).create_time()
        write_private(path, msgspec.json.encode(PidFile(pid, started_at, int(stop_signal))))
    return path


def plain_environ(home: Path) -> dict[str, str]:
    """What a server gets from us: nothing that we were given ourselves."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(home)}


def leftovers(state: StateDir) -> list[tuple[str, psutil.Process, signal.Signals]]:
    """Processes of an owner that died without ending them, newest first."""
    found = []
    for path in _pid_folder(state).glob("*.json"):
        record = msgspec.json.decode(path.read_bytes(), type=PidFile)
        try:
            process = psutil.Process(record.pid)
            if abs(process.create_time() - record.started_at) < _SAME_START_S:
                found.append((path.stem, process, signal.Signals(record.stop_signal)))
                continue
        except psutil.NoSuchProcess:
            pass
        path.unlink()
    return sorted(found, key=lambda item: -item[1].create_time())


def end_leftovers(state: StateDir, *, timeout_s: float = 10.0) -> list[str]:
    """Names of what had to be ended. Call with the lock held.

    `ray.1` and `ray.2` are both parts of `ray`.
    """
    found = leftovers(state)
    for _, process, stop_signal in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(stop_signal)
    _, alive = psutil.wait_procs([process for _, process, _ in found], timeout=timeout_s)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=timeout_s)
    for name, _, _ in found:
        (_pid_folder(state) / f"{name}.json").unlink(missing_ok=True)
    return sorted({name.partition(".")[0] for name, _, _ in found})


def _pid_folder(state: StateDir) -> Path:
    folder = state.run / "pids"
    folder.mkdir(exist_ok=True)
    return folder


def tail(path: Path, *, lines: int = 15) -> str:
    try:
        content = path.read_text(errors="replace")
    except OSError as exc:
        return f"(no log: {exc.strerror})"
    return "\n".join(content.splitlines()[-lines:])
