"""Trying a change on some members before all of them run it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import msgspec

from ecap.config.rollout.ledger import Membership
from ecap.errors import Invalid


class Canary(msgspec.Struct, frozen=True):
    """One of `members` or `share`. The others follow when `bake_s` has passed and every
    canary is well; otherwise the change is undone."""

    members: tuple[str, ...] = ()
    share: float = 0.0
    """Of all members, at least one."""
    bake_s: float = 10.0
    max_error_ratio: float = 0.05
    min_requests: int = 20
    """With fewer, an error ratio says nothing."""


def check(canary: Canary) -> None:
    """Raises Invalid."""
    if not canary.members and not 0 < canary.share <= 1:
        raise Invalid("a canary names members, or a share above 0 and at most 1", field="canary")
    if canary.bake_s < 0:
        raise Invalid("the bake time is negative", field="canary.bake_s")


def chosen(canary: Canary, live: Sequence[Membership], *, version: int) -> frozenset[str]:
    """By name, or a share that differs from version to version.

    Raises Invalid when a named member is not there.
    """
    names = {member.name for member in live}
    if canary.members:
        missing = sorted(set(canary.members) - names)
        if missing:
            raise Invalid(f"no such member: {', '.join(missing)}", field="canary.members")
        return frozenset(canary.members)
    count = max(1, math.ceil(canary.share * len(names))) if names else 0
    return frozenset(sorted(names, key=lambda name: _order(version, name))[:count])


def _order(version: int, name: str) -> str:
    return hashlib.sha256(f"{version} {name}".encode()).hexdigest()


def unwell(canary: Canary, member: Membership, *, version: int) -> str | None:
    """Why this member speaks against `version`."""
    # First the refusal: who refused goes on with the version before, and its health is that of the
    # version before.
    if member.failed is not None and member.failed.version == version:
        return f"{member.name} refused: {member.failed.refusal}"
    if member.running != version:
        return None
    if not member.health.ok:
        return f"{member.name} is not healthy"
    enough = member.health.requests >= canary.min_requests
    if enough and member.health.error_ratio > canary.max_error_ratio:
        return f"{member.name}: {member.health.error_ratio:.1%} of requests fail"
    return None
