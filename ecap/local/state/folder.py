"""The state folder of one local ECAP (`.ecap/`): what is kept, with which mode, owned by whom.

.ecap/            0700 (0710 as root: the database account has to pass through)
├── data/         what the servers store
├── logs/  0700   one file a process
├── run/   0700   lock, pid files, runtime.json; worth nothing once all is stopped
└── secrets/ 0700 files of 0600
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ecap.errors import Conflict


@dataclass(frozen=True)
class Account:
    """The unprivileged account that runs PostgreSQL, which refuses to run as root."""

    uid: int
    gid: int


def database_account() -> Account | None:
    """None for an ordinary user, who runs the database as himself."""
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam("postgres")
    except KeyError:
        found = pwd.getpwnam("nobody")
    return Account(found.pw_uid, found.pw_gid)


class StateDir:
    def __init__(self, root: Path, *, account: Account | None) -> None:
        self.root = root
        self.account = account
        self.data = root / "data"
        self.logs = root / "logs"
        self.run = root / "run"
        self.secrets = root / "secrets"

    @property
    def tag(self) -> str:
        """Short and stable: names what has to live outside this folder."""
        owner = f"{os.geteuid()}:{self.root}"
        return hashlib.sha256(owner.encode()).hexdigest()[:8]

    def create(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o710 if self.account else 0o700)
        self.data.mkdir(exist_ok=True)
        self.data.chmod(0o710 if self.account else 0o700)
        if self.account:
            os.chown(self.root, -1, self.account.gid)
            os.chown(self.data, -1, self.account.gid)
        for folder in (self.logs, self.run, self.secrets):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)

    def secret(self, name: str, generate: Callable[[], bytes]) -> Path:
        """The file of a secret, made at first use."""
        path = self.secrets / name
        if not path.exists():
            write_private(path, generate())
        return path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held by the one process that owns what runs from this folder.

        Raises Conflict with the owner's pid when somebody else holds it.
        """
        with (self.run / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                pid = file.read().strip() or "unknown"
                raise Conflict(
                    f"ECAP already runs from {self.root} (process {pid}):"
                    " `ecap status` shows it, `ecap down` stops it",
                    pid=pid,
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
            file.truncate(0)

    def owner(self) -> int | None:
        """The process that holds the lock now, if any."""
        path = self.run / "lock"
        if not path.exists():
            return None
        with path.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text else None
        return None


def open_state(root: Path) -> StateDir:
    """Paths only; `create()` makes the folders."""
    return StateDir(root.absolute(), account=database_account())


def write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def reachable(path: Path, account: Account) -> bool:
    """Whether `account` may pass through every folder from `/` to `path`."""
    for folder in (path, *path.parents):
        if not folder.exists():
            continue
        found = folder.stat()
        if found.st_uid == account.uid:
            bit = 0o100
        elif found.st_gid == account.gid:
            bit = 0o010
        else:
            bit = 0o001
        if not found.st_mode & bit:
            return False
    return True
