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

from ecap.config.secrets.keyring.ring import PREFIX, Keyring

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


def renewed_text(text: str, ring: Keyring, *, where: str) -> str:
    """Each `enc:` in `text` under the first key; nothing else changes."""

    def again(match: re.Match[str]) -> str:
        token = match.group(1).encode()
        if ring.is_current(token):
            return match.group(0)
        line = match.string.count("\n", 0, match.start()) + 1
        return PREFIX + ring.renew(token, where=f"{where}:{line}").decode()

    return _TOKEN.sub(again, text)


def outdated(text: str, ring: Keyring) -> int:
    """How many `enc:` in `text` are not under the first key."""
    return sum(not ring.is_current(token.encode()) for token in _TOKEN.findall(text))


class FileEntries:
    """The `enc:` entries of YAML files; each file is replaced whole or not at all.

    Files that may not be written stay as they are.
    """

    name = "files"

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = sorted(path for path in paths if os.access(path, os.W_OK))

    async def batch(self, ring: Keyring, *, after: str, limit: int) -> Batch:
        seen = renewed = 0
        for path in self._paths:
            # Newlines as they are: only tokens may change.
            text = path.read_bytes().decode()
            count = outdated(text, ring)
            if count:
                _replace(path, renewed_text(text, ring, where=str(path)))
            seen += len(_TOKEN.findall(text))
            renewed += count
        return Batch(None, seen, renewed)


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    mode = path.stat().st_mode
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
