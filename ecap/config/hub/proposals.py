"""What is asked of the hub, waiting for its turn, and as it stands in the history."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ecap import logs
from ecap.config.hub.history import Entry
from ecap.config.layers import keys, overrides
from ecap.config.layers.layer import Layer, Source
from ecap.config.layers.overrides import Edit
from ecap.config.protocol import Vote
from ecap.config.rollout.canary import Canary
from ecap.errors import EcapError

_log = logs.get("ecap.config")

HUB = "hub"
"""The author of what nobody asked for."""


@dataclass(frozen=True)
class Outcome:
    version: int
    changed: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    """Known members that were silent: dead, or to take it when they answer again."""
    skipped: tuple[str, ...] = ()
    """Keys a rollback could not restore."""


@dataclass
class Proposal:
    author: str
    reason: str
    given: Mapping[Source, Layer] = field(default_factory=dict, repr=False)
    edit: Edit | None = field(default=None, repr=False)
    back_to: int | None = None
    canary: Canary | None = None
    if_version: int | None = None
    harm: Vote | None = None
    """Of a member that went back from what runs."""
    dry_run: bool = False
    sections: tuple[str, ...] = ("",)
    """Where its author may change something; "" is everywhere."""
    done: asyncio.Future[Outcome] | None = None
    origin: Mapping[str, str] = field(default_factory=dict)
    """By which request it came: its id, its address and what kind of author sent it."""

    def brings_secrets(self) -> bool:
        """Whether it comes from where secrets are kept; references are read again then."""
        return self.edit is None and not self.given.keys() & {"base", "environment-file"}

    def beyond(self) -> str | None:
        """The first key that its author may not change."""
        if self.edit is None:
            return None
        for key in (*self.edit.sets, *self.edit.unsets):
            if not any(keys.within(key, section) for section in self.sections):
                return key
        return None

    def safe_edit(self) -> dict[str, Any] | None:
        return None if self.edit is None else overrides.safe(self.edit)

    def refused_edit(self) -> dict[str, Any] | None:
        return None if self.edit is None else overrides.outline(self.edit)

    def safe_canary(self) -> dict[str, Any] | None:
        return None if self.canary is None else msgspec.to_builtins(self.canary)

    def succeed(self, outcome: Outcome) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(outcome)

    def fail(self, error: EcapError) -> None:
        if self.done is None:
            _log.error("configuration change failed", extra={"why": error.detail})
        elif not self.done.done():
            self.done.set_exception(error)


def unfinished(entries: Sequence[Entry]) -> Entry | None:
    """The last proposal, if nothing was decided about it but to try again."""
    for entry in reversed(entries):
        if entry.kind == "proposed":
            return entry
        if entry.kind in ("refused", "applied", "booted"):
            return None
        if entry.kind == "rolled-back" and not entry.body["again"]:
            return None
    return None


def again(proposed: Entry) -> Proposal | None:
    """An operator's change once more; sources say by themselves what they want."""
    edit = proposed.body["edit"]
    if edit is None or proposed.body.get("dry_run"):
        return None
    canary = proposed.body["canary"]
    return Proposal(
        proposed.author,
        proposed.reason,
        edit=msgspec.convert(edit, Edit),
        canary=None if canary is None else msgspec.convert(canary, Canary),
        origin=proposed.body.get("origin", {}),
    )


def members(entries: Sequence[Entry]) -> list[str]:
    """As the history knew them last; not those who were silent even then."""
    for entry in reversed(entries):
        if entry.kind == "proposed":
            return list(entry.body["members"])
        if entry.kind == "settled":
            return [name for name, ran in entry.body["members"].items() if ran == entry.version]
    return []
