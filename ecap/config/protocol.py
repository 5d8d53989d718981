"""What the hub and its members say to each other.

A member asks (`exchange`), telling what it runs; the hub answers when there is
something to do, or after a while with nothing. Both sides speak of states, not of
events, so a lost or repeated message changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import msgspec

from ecap.config import keys
from ecap.config.redaction import plain
from ecap.config.settings import Settings


@dataclass(frozen=True)
class Snapshot:
    """All settings of one version, secrets included.

    Kept packed: the hub gives the same bytes to every member, and a member that has
    prepared a version does not look into it again.
    """

    version: int
    packed: bytes = field(repr=False)

    @classmethod
    def of(cls, version: int, leaves: Mapping[str, Any]) -> Snapshot:
        return cls(version, msgspec.msgpack.encode(leaves))

    def __reduce__(self) -> tuple[Any, ...]:
        return Snapshot, (self.version, self.packed)

    @cached_property
    def leaves(self) -> Mapping[str, Any]:
        found: dict[str, Any] = msgspec.msgpack.decode(self.packed)
        return found

    def settings(self) -> Settings:
        """Raises ValidationError."""
        return Settings.model_validate(keys.unflatten(self.leaves))

    def settings_after(self, before: Snapshot, present: Settings) -> Settings:
        """The same, where `present` are the settings of `before`: sections in which nothing
        differs are taken from there, for validating all of them is most of the time.

        Raises ValidationError.
        """
        differ = {key.partition(".")[0] for key in _differences(before.leaves, self.leaves)}
        kept = {name: getattr(present, name) for name in Settings.model_fields.keys() - differ}
        made = {k: v for k, v in self.leaves.items() if k.partition(".")[0] in differ}
        return Settings.model_validate(kept | keys.unflatten(made))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    yield from old.keys() ^ new.keys()
    for key in old.keys() & new.keys():
        # 1, 1.0 and True are equal, and may be told apart by a setting.
        if old[key] != new[key] or type(old[key]) is not type(new[key]):
            yield key


def leaves_of(settings: Settings) -> dict[str, Any]:
    """In JSON's types, so that equal settings have equal leaves."""
    return {key: plain(value) for key, value in keys.flatten(settings.model_dump()).items()}


@dataclass(frozen=True)
class Health:
    """A member's own account of itself, over its recent past."""

    ok: bool = True
    error_ratio: float = 0.0
    requests: int = 0


@dataclass(frozen=True)
class Verdict:
    """On preparing or applying a version; `refusal` None is a yes."""

    version: int
    refusal: str | None = None


@dataclass(frozen=True)
class Report:
    member: str
    incarnation: str
    """New with every start of the member."""
    kind: str
    running: int
    """0: what it loaded by itself when it started."""
    prepared: Verdict | None = None
    failed: Verdict | None = None
    """The last version it could not take."""
    health: Health = field(default_factory=Health)
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    kind: Literal["nothing", "prepare", "apply"]
    version: int = 0
    snapshot: Snapshot | None = None
    """With `prepare` and `apply`."""
    hold_s: float = 0.0
    """How long the hub may be silent; longer means it is away."""


class HubLink(Protocol):
    async def exchange(self, report: Report) -> Order:
        """Raises Retryable when the hub is away."""
        ...

    async def leave(self, member: str, incarnation: str) -> None: ...
