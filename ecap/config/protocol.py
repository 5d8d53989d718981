"""What the hub and its members say to each other.

A member asks (`exchange`), telling what it runs; the hub answers when there is
something to do, or after a while with nothing. Both sides speak of states, not of
events, so a lost or repeated message changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import msgspec

from ecap.config.layers import keys
from ecap.config.layers.redaction import plain
from ecap.config.settings.tree import Settings


def leaves_of(settings: Settings, *, sections: Iterable[str] | None = None) -> dict[str, Any]:
    """In JSON's types, so that equal settings have equal leaves; all of them or some sections'."""
    tree = settings.model_dump(include=None if sections is None else set(sections))
    return {key: plain(value) for key, value in keys.flatten(tree).items()}


def settings_of(leaves: Mapping[str, Any]) -> Settings:
    """The inverse. Raises ValidationError."""
    return Settings.model_validate(keys.unflatten(leaves))


class End(msgspec.Struct, frozen=True):
    """From `at` on, in Unix time, overrides count no longer, whether or not the hub has
    written so: what then differs from the version they are in, secrets included."""

    at: float
    leaves: dict[str, Any]
    gone: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"End(at={self.at})"

    @classmethod
    def of(cls, at: float, now: Mapping[str, Any], then: Mapping[str, Any]) -> End:
        differ = keys.differing(now, then)
        return cls(
            at,
            {key: then[key] for key in differ if key in then},
            tuple(key for key in differ if key not in then),
        )

    def changes(self) -> Changes:
        return Changes(0, 0, self.leaves, self.gone)


Ends = tuple[End, ...]


@dataclass(frozen=True)
class Snapshot:
    """All settings of one version, secrets included, packed once for all members."""

    version: int
    packed: bytes = field(repr=False)
    ends: Ends = ()

    @classmethod
    def of(cls, version: int, leaves: Mapping[str, Any], ends: Ends = ()) -> Snapshot:
        return cls(version, msgspec.msgpack.encode(leaves), ends)

    def __reduce__(self) -> tuple[Any, ...]:
        return Snapshot, (self.version, self.packed, self.ends)

    @cached_property
    def leaves(self) -> Mapping[str, Any]:
        found: dict[str, Any] = msgspec.msgpack.decode(self.packed)
        return found

    def touches(self, prefix: str) -> bool:
        """What it changes is not known."""
        return True

    def settings(self, present: Settings) -> Settings:
        """Raises ValidationError."""
        return settings_of(self.leaves)


@dataclass(frozen=True)
class Changes:
    """What makes version `base` into `version`, secrets included; for a member that runs `base`."""

    base: int
    version: int
    leaves: Mapping[str, Any] = field(repr=False)
    """What is set, or has another value."""
    gone: tuple[str, ...] = ()
    ends: Ends = ()
    """Those of `version`."""

    @classmethod
    def between(cls, old: Snapshot, new: Snapshot) -> Changes:
        differ = keys.differing(old.leaves, new.leaves)
        return cls(
            old.version,
            new.version,
            {key: new.leaves[key] for key in differ if key in new.leaves},
            tuple(key for key in differ if key not in new.leaves),
            new.ends,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Changes, (self.base, self.version, self.leaves, self.gone, self.ends)

    def touches(self, prefix: str) -> bool:
        """Whether it changes anything at or below `prefix`."""
        return any(keys.within(key, prefix) for key in (*self.leaves, *self.gone))

    def settings(self, present: Settings) -> Settings:
        """`present` are those of `base`. Sections in which nothing differs are taken from
        there, for validating all of them is most of the time.

        Raises ValidationError.
        """
        differ = {key.partition(".")[0] for key in (*self.leaves, *self.gone)}
        made = leaves_of(present, sections=differ)
        for key in self.gone:
            made.pop(key, None)
        kept = {name: part for name, part in vars(present).items() if name not in differ}
        return Settings.model_validate(kept | keys.unflatten(made | dict(self.leaves)))


class Health(msgspec.Struct, frozen=True):
    """A member's own account of itself, over its recent past."""

    ok: bool = True
    error_ratio: float = 0.0
    requests: int = 0


class Vote(msgspec.Struct, frozen=True):
    """On preparing or applying a version; `refusal` None is a yes."""

    version: int
    refusal: str | None = None
    back_to: int | None = None
    """The version that runs again, for one that ran and did harm."""


class Report(msgspec.Struct, frozen=True):
    member: str
    incarnation: str
    """New with every start of the member."""
    kind: str
    running: int
    """0: what it loaded by itself when it started."""
    prepared: Vote | None = None
    """On the version it was asked about last; nothing when it runs it."""
    failed: Vote | None = None
    """The last version it could not take."""
    health: Health = Health()
    prefixes: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    """Those of `prefixes` whose subscriber can refuse beforehand."""
    release: str = ""
    """Of ECAP: another one knows other settings."""


class Instruction(msgspec.Struct, frozen=True):
    kind: Literal["nothing", "prepare", "apply"]
    version: int = 0
    content: Snapshot | Changes | None = None
    """Nothing with `apply` of what the member has prepared."""
    hold_s: float = 0.0
    """How long the hub may be silent; longer means it is away."""


class HubLink(Protocol):
    async def exchange(self, report: Report) -> Instruction:
        """Raises Retryable when the hub is away."""
        ...

    async def leave(self, member: str, incarnation: str) -> None: ...
