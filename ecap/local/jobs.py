"""Batch jobs beside a local ECAP: each a process of its own that connects to the running Ray.

Ray's own job server comes with its dashboard (290 MB, 2 s of every start), so `ecap up`
has none by default. The process holds a lock on its record for as long as it lives, so
that who asks later knows a job that died from one that runs, whatever its pid means by then.

    .ecap/jobs/<id>/job.json   what it is, and its exit code when it has ended
    .ecap/jobs/<id>/log        its output
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from ecap.errors import Conflict, NotFound, Unavailable
from ecap.local.state import runtime
from ecap.local.state.folder import StateDir, write_private

State = Literal["running", "succeeded", "differs", "failed", "stopped", "died"]
RECORD = "ECAP_JOB_RECORD"
# Exit codes of `ecap job run`.
DIFFERS = 3
STOPPED = 130
_STATES: Mapping[int, State] = {0: "succeeded", DIFFERS: "differs", STOPPED: "stopped"}
_BEGIN_S = 30.0
_STOP_S = 20.0
_POLL_S = 0.1


class Record(msgspec.Struct, frozen=True):
    id: str
    name: str
    arguments: Sequence[str]
    begun_at: datetime
    pid: int | None = None
    code: int | None = None
    seconds: float | None = None


class Jobs:
    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._folder = state.root / "jobs"

    def submit(self, name: str, arguments: Sequence[str], *, now: datetime) -> Record:
        """Returns when its process runs. Raises Conflict when ECAP does not run here."""
        found = runtime.read(self._state) if self._state.owner() else None
        if found is None or found.ready_s is None:
            raise Conflict(
                f"ECAP does not run from {self._state.root} (or is not ready yet):"
                " `ecap up` starts it; `--cluster` submits to Kubernetes"
            )
        job = f"{name}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        folder = self._folder / job
        folder.mkdir(parents=True, mode=0o700)
        record = Record(job, name, tuple(arguments), now)
        _write(folder, record)
        command = [sys.executable, "-m", "ecap.cli.main", "job", "run", name]
        for argument in arguments:
            command += ["--arg", argument]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  our own command, no shell
                command,
                env={**os.environ, **found.environ, RECORD: str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C of this terminal is not its own
            )
        try:
            self._begun(process, job)
        except BaseException:  # Ctrl-C, too: nobody knows of this job yet
            process.kill()
            raise
        return self.find(job)

    def _begun(self, process: subprocess.Popen[bytes], job: str) -> None:
        deadline = time.monotonic() + _BEGIN_S
        while process.poll() is None and self.find(job).pid is None:
            if time.monotonic() > deadline:
                raise Unavailable(f"{job} does not begin; its output: {self.log(job)}")
            time.sleep(_POLL_S)

    def all(self) -> list[Record]:
        """Newest first."""
        found = [_read(path.parent) for path in self._folder.glob("*/job.json")]
        return sorted(found, key=lambda record: record.begun_at, reverse=True)

    def find(self, job: str) -> Record:
        folder = self._folder / job
        if folder.parent != self._folder or not (folder / "job.json").exists():
            raise NotFound(f"no job {job}; `ecap job status` lists them")
        return _read(folder)

    def log(self, job: str) -> Path:
        return self._folder / self.find(job).id / "log"

    def state(self, record: Record) -> State:
        folder = self._folder / record.id
        if _held(folder):
            return "running"
        code = _read(folder).code  # again: it may have ended in between
        return "died" if code is None else _STATES.get(code, "failed")

    def stop(self, job: str) -> State:
        """As by Ctrl-C, so that it takes its tasks with it; by force when that has no end."""
        record = self.find(job)
        for how in (signal.SIGINT, signal.SIGKILL):
            deadline = time.monotonic() + _STOP_S
            if self.state(record) == "running" and record.pid:
                os.kill(record.pid, how)
            while self.state(record) == "running":
                if time.monotonic() > deadline:
                    break
                time.sleep(_POLL_S)
            else:
                return self.state(record)
        raise Unavailable(f"{job} does not end (process {record.pid})")


@contextmanager
def recorded(folder: Path) -> Iterator[Recording]:
    """By the job's own process."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        recording = Recording(folder)
        recording.begin()
        yield recording


class Recording:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = time.monotonic()

    def begin(self) -> None:
        _write(self._folder, msgspec.structs.replace(_read(self._folder), pid=os.getpid()))

    def end(self, code: int) -> None:
        seconds = round(time.monotonic() - self._clock, 1)
        ended = msgspec.structs.replace(_read(self._folder), code=code, seconds=seconds)
        _write(self._folder, ended)


def _held(folder: Path) -> bool:
    path = folder / "lock"
    if not path.exists():
        return False
    with path.open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _read(folder: Path) -> Record:
    return msgspec.json.decode((folder / "job.json").read_bytes(), type=Record)


def _write(folder: Path, record: Record) -> None:
    write_private(folder / "job.json", msgspec.json.format(msgspec.json.encode(record)))
