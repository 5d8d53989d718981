"""Where jobs run, behind one face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Row = dict[str, Any]
Say = Callable[[str], object]


class Place(Protocol):
    def submit(self, name: str, arguments: Sequence[str], *, workers: int | None) -> str: ...

    def rows(self, job: str | None) -> list[Row]: ...

    def follow(self, job: str, say: Say, *, to_the_end: bool) -> int:
        """Its exit code, 0 while it runs."""
        ...

    def stop(self, job: str) -> str: ...
