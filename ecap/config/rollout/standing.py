"""Who runs what, for operators and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

from ecap import metrics
from ecap.config.rollout.ledger import Membership

State = Literal["current", "behind", "refused", "silent"]
_STATES: tuple[State, ...] = ("current", "behind", "refused", "silent")


def state(member: Membership, *, version: int, now: float, stale_after_s: float) -> State:
    """`now` is monotonic, as the ledger's clock."""
    if not member.held and now - member.seen_at > stale_after_s:
        return "silent"
    if member.running == version:
        return "current"
    refused = member.failed is not None and member.failed.version == version
    return "refused" if refused else "behind"


def shown(
    members: Iterable[Membership], *, version: int, now: float, stale_after_s: float
) -> list[dict[str, Any]]:
    """One row a member, by name; counts them for the metrics on the way."""
    rows = [
        {
            "member": member.name,
            "kind": member.kind,
            "running": member.running,
            "state": state(member, version=version, now=now, stale_after_s=stale_after_s),
            "silent_s": 0.0 if member.held else now - member.seen_at,
            "refusal": member.failed.refusal if member.failed else None,
            "prefixes": list(member.prefixes),
        }
        for member in sorted(members, key=lambda member: member.name)
    ]
    counts = Counter(row["state"] for row in rows)
    for name in _STATES:
        metrics.config_members.labels(name).set(counts[name])
    return rows
