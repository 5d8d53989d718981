"""What one local ECAP consists of: the frozen answer to "what runs, where, since when".

Kept in `run/runtime.json`, without secrets, for `ecap status`, `ecap down` and the
next start, which prefers the same ports.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from ecap.local.state.folder import StateDir, write_private


class Server(msgspec.Struct, frozen=True):
    name: str
    host: str
    port: int
    pid: int
    started_at: float
    """Unix time."""
    ready_s: float
    """From its start until it answered."""
    log: str


class Runtime(msgspec.Struct, frozen=True):
    state_dir: str
    owner: int | None
    """Process that owns all of this; None once it was stopped cleanly."""
    started_at: float
    ports: Mapping[str, int]
    servers: tuple[Server, ...] = ()
    environ: Mapping[str, str] = {}
    """`ECAP__...` settings of every worker; secrets only as references."""
    ready_s: float | None = None
    """Until everything answered."""

    def server(self, name: str) -> Server | None:
        return next((server for server in self.servers if server.name == name), None)

    @property
    def front_door(self) -> str:
        return f"http://127.0.0.1:{self.ports['http']}"


def path(state: StateDir) -> Path:
    return state.run / "runtime.json"


def read(state: StateDir) -> Runtime | None:
    """None when nothing was ever started here, or by an older ECAP."""
    try:
        return msgspec.json.decode(path(state).read_bytes(), type=Runtime)
    except (OSError, msgspec.MsgspecError):
        return None


def write(state: StateDir, runtime: Runtime) -> None:
    write_private(path(state), msgspec.json.format(msgspec.json.encode(runtime)))
