"""What the hub and its members say to each other.

A member asks (`exchange`), telling what it runs; the hub answers when there is
something to do, or after a while with nothing. Both sides speak of states, not of
events, so a lost or repeated message changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ecap.config import keys
from ecap.config.redaction import plain
from ecap.config.settings import Settings


@dataclass(frozen=True)
class Snapshot:
    """All settings of one version, secrets included."""

    version: int
    leaves: Mapping[str, Any] = field(repr=False)

    def settings(self) -> Settings:
        return Settings.model_validate(keys.unflatten(self.leaves))


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
