"""What operators ask for, on its way to the hub."""

from __future__ import annotations

import msgspec

from ecap.config.layers.overrides import Edit
from ecap.config.rollout.canary import Canary


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """`version` is the one the operator saw, `sections` are those he may change ("": all).
    `dry_run`: members are asked, and nobody runs it."""

    edit: Edit
    author: str
    reason: str
    version: int | None = None
    canary: Canary | None = None
    dry_run: bool = False
    sections: tuple[str, ...]


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """To the overrides of `to`; `version` and `sections` as in a change."""

    to: int
    author: str
    reason: str
    version: int | None = None
    sections: tuple[str, ...]
