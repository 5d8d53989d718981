"""What an order carries: no more than the member lacks of the version it is to run."""

from __future__ import annotations

from ecap import __version__
from ecap.config.protocol import Changes, Snapshot
from ecap.config.rollout.ledger import Membership

# A version, the one before, and what a canary tried.
_KEPT = 4


class Contents:
    def __init__(self) -> None:
        self._known: dict[int, Snapshot] = {}
        self._changes: dict[tuple[int, int], Changes] = {}

    def know(self, snapshot: Snapshot) -> None:
        """From now on what differs from it can be told."""
        self._known.setdefault(snapshot.version, snapshot)
        for version in sorted(self._known)[:-_KEPT]:
            del self._known[version]
        self._changes = {pair: x for pair, x in self._changes.items() if pair[0] in self._known}

    def of(self, member: Membership, target: Snapshot) -> Snapshot | Changes:
        """Everything, where what it runs is not known here or may mean something else there."""
        base = self._known.get(member.running)
        if base is None or member.release != __version__:
            return target
        pair = base.version, target.version
        if pair not in self._changes:
            self._changes[pair] = Changes.between(base, target)
        return self._changes[pair]
