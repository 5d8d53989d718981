"""What a process does when a part of its configuration changes: a table, one line a part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from ecap import logs
from ecap.config.member.member import Member

T = TypeVar("T")


@dataclass(frozen=True)
class Follow(Generic[T]):
    """`apply` brings what follows to where it would be if it had been built with the new
    part. When it raises, nothing has changed. `check` raises for a part that it would
    refuse."""

    prefix: str
    kind: type[T]
    apply: Callable[[T], Awaitable[None] | None]
    check: Callable[[T], object] | None = None
    timeout_s: float | None = None
    """None: `hub.callback_timeout_s`."""


@runtime_checkable
class Follower(Protocol):
    """What made something from settings."""

    def follows(self) -> Sequence[Follow[Any]]: ...


LEVEL = Follow("log.level", str, logs.set_level)


def follows(thing: object) -> Sequence[Follow[Any]]:
    return thing.follows() if isinstance(thing, Follower) else ()


def follow(member: Member, table: Iterable[Follow[Any]]) -> None:
    """Raises Misconfigured when a prefix is no part of the settings, or of another kind."""
    for line in table:
        _subscribe(member, line)


def _subscribe(member: Member, line: Follow[Any]) -> None:
    def changed(old: Any, new: Any) -> Awaitable[None] | None:
        return line.apply(new)

    member.subscribe(line.prefix, line.kind, changed, check=line.check, timeout_s=line.timeout_s)
