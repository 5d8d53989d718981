"""Encrypting everything again under the keyring's first key, with progress, from where it stopped.

Safe to repeat and to run beside writers: what is current is left alone, and a value
that changes meanwhile was encrypted with the first key anyway.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ecap.config.keyring import PREFIX, Keyring

_TOKEN = re.compile(re.escape(PREFIX) + r"([A-Za-z0-9_\-]+={0,2})")
_BATCH = 200


@dataclass(frozen=True)
class Batch:
    after: str | None
    """Where the next one begins; None: this was the last."""
    seen: int
    renewed: int


class Renewable(Protocol):
    """A place with encrypted values."""

    name: str

    async def batch(self, ring: Keyring, *, after: str, limit: int) -> Batch:
        """The next `limit` values after `after` ('' is the beginning), renewed and stored.

        Raises Misconfigured for a value that no key opens.
        """
        ...


class Progress(Protocol):
    async def load(self, target: str, key_id: str) -> str | None:
        """Where to go on; None from the beginning."""
        ...

    async def save(self, target: str, key_id: str, *, after: str, done: int) -> None: ...

    async def clear(self, target: str, key_id: str) -> None: ...


@dataclass(frozen=True)
class Step:
    target: str
    seen: int
    renewed: int
    finished: bool


async def renew(
    targets: Sequence[Renewable],
    ring: Keyring,
    progress: Progress,
    *,
    report: Callable[[Step], None] = lambda _: None,
) -> int:
    """How many values were encrypted again. May be stopped anywhere and called again."""
    total = 0
    for target in targets:
        after: str | None = await progress.load(target.name, ring.primary.id) or ""
        seen = renewed = 0
        while after is not None:
            batch = await target.batch(ring, after=after, limit=_BATCH)
            seen += batch.seen
            renewed += batch.renewed
            after = batch.after
            if after is not None:
                await progress.save(target.name, ring.primary.id, after=after, done=seen)
            report(Step(target.name, seen, renewed, after is None))
        await progress.clear(target.name, ring.primary.id)
        total += renewed
    return total


class NoProgress:
    """For targets so small that beginning again costs nothing."""

    async def load(self, target: str, key_id: str) -> str | None:
        return None

    async def save(self, target: str, key_id: str, *, after: str, done: int) -> None:
        return None

    async def clear(self, target: str, key_id: str) -> None:
        return None


class FileEntries:
    """The `enc:` entries of YAML files; each file is replaced whole or not at all."""

    name = "files"

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = sorted(paths)

    async def batch(self, ring: Keyring, *, after: str, limit: int) -> Batch:
        seen = renewed = 0
        for path in self._paths:
            found = _File(path, ring)
            text = found.renewed_text()
            if found.renewed:
                _replace(path, text)
            seen += found.seen
            renewed += found.renewed
        return Batch(None, seen, renewed)


class _File:
    def __init__(self, path: Path, ring: Keyring) -> None:
        self.seen = 0
        self.renewed = 0
        self._path = path
        self._ring = ring

    def renewed_text(self) -> str:
        # Newlines as they are: only tokens may change.
        return _TOKEN.sub(self._token, self._path.read_bytes().decode())

    def _token(self, match: re.Match[str]) -> str:
        self.seen += 1
        token = match.group(1).encode()
        if self._ring.is_current(token):
            return match.group(0)
        self.renewed += 1
        line = match.string.count("\n", 0, match.start()) + 1
        return PREFIX + self._ring.renew(token, where=f"{self._path}:{line}").decode()


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    mode = path.stat().st_mode
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
