"""An ECAP of its own to measure: started as a user would, ended at the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecap.config import Settings, load
from ecap.config.sources.startup import config_dir
from ecap.errors import Unavailable
from ecap.local.state import runtime
from ecap.local.state.folder import open_state
from ecap.local.state.runtime import Runtime

_READY_S = 180.0
# Nobody is to be limited while capacity is measured.
_NO_LIMIT = "{rate_per_s: 1000000, burst: 1000000}"

VAULT_PATH = "ecap/bench"
"""The secret whose keys are settings, where `configurable`."""


@dataclass(frozen=True)
class System:
    state_dir: Path
    runtime: Runtime

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, **self.runtime.environ}

    def settings(self) -> Settings:
        return load(self.environ)

    def report(self) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "ecap.cli.main", "status", "--json"],
            env=environment(self.state_dir),
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def environment(state_dir: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    return {
        **os.environ,
        "ECAP__STATE_DIR": str(state_dir),
        # So that replicas can import what is measured.
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "ECAP__LIMITS__ADDRESS": _NO_LIMIT,
        "ECAP__LIMITS__PRINCIPAL": _NO_LIMIT,
        "ECAP__LIMITS__CREDENTIALS": _NO_LIMIT,
        **(more or {}),
    }


def configurable(state_dir: Path) -> dict[str, str]:
    """Files and a secret of its own, which a benchmark may write."""
    files = state_dir.with_name("configs")
    shutil.copytree(config_dir(os.environ), files)
    return {"ECAP_CONFIG_DIR": str(files), "ECAP__VAULT__CONFIG_PATH": VAULT_PATH}


@contextmanager
def folder() -> Iterator[Path]:
    """Not where only the caller may look: PostgreSQL may run as somebody else."""
    found = Path(tempfile.mkdtemp(prefix="ecap-bench-", dir="/tmp"))
    found.chmod(0o711)
    try:
        yield found
    finally:
        shutil.rmtree(found, ignore_errors=True)


@contextmanager
def running(state_dir: Path, more: Mapping[str, str] | None = None) -> Iterator[System]:
    """`ecap up`, ready. Raises Unavailable with what it printed when it does not come up."""
    log = state_dir.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ecap.cli.main", "up"],
            env=environment(state_dir, more),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield System(state_dir, _ready(process, state_dir, log))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _ready(process: subprocess.Popen[bytes], state_dir: Path, log: Path) -> Runtime:
    until = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < until:
        found = runtime.read(open_state(state_dir))
        if found is not None and found.owner == process.pid and found.ready_s is not None:
            return found
        time.sleep(0.1)
    raise Unavailable(f"`ecap up` did not come up:\n{log.read_text()[-2000:]}")
