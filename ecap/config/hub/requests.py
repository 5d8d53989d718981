"""What operators ask for, on its way to the hub."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ecap.config.layers.overrides import Edit
from ecap.config.rollout.canary import Canary


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """`version` is the one the operator saw, `sections` are those he may change ("": all).
    `dry_run`: members are asked, and nobody runs it. `origin` says by which request it came."""

    edit: Edit
    author: str
    reason: str
    version: int | None = None
    canary: Canary | None = None
    dry_run: bool = False
    sections: tuple[str, ...]
    origin: Mapping[str, str] = msgspec.field(default_factory=dict)


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """To the overrides of `to`; `version` and `sections` as in a change."""

    to: int
    author: str
    reason: str
    version: int | None = None
    sections: tuple[str, ...]
    origin: Mapping[str, str] = msgspec.field(default_factory=dict)
