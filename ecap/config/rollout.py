"""Bringing a version to the members: ask all, try on some, commit to all.

It decides nothing and remembers nothing: the hub writes each step to the history
before it is taken here. No step has a time limit of its own: a member either
answers, which its own limits see to, or falls silent and is not waited for. Only
one that keeps talking and does nothing, a fault, meets `_PATIENCE`.
"""

from __future__ import annotations

from collections.abc import Callable

from ecap.config import canary as canaries
from ecap.config.canary import Canary
from ecap.config.control import Hub as Timing
from ecap.config.ledger import Ledger, Membership
from ecap.config.protocol import Order, Report, Snapshot

_PATIENCE = 6  # times the time after which a member is stale


class Rollout:
    """`running` is what members are to run at first."""

    def __init__(
        self,
        running: Snapshot,
        *,
        ledger: Ledger,
        clock: Callable[[], float],
        timing: Timing,
    ) -> None:
        self.timing = timing
        self._ledger = ledger
        self._clock = clock
        self._running = running
        self._trial: Snapshot | None = None
        self._canaries: frozenset[str] = frozenset()
        self._asking: Snapshot | None = None
        self._asked: frozenset[str] = frozenset()

    async def answer(self, report: Report) -> Order:
        """To a member: what it has to do, at once or when there is something.

        Raises Fenced for a process that was replaced.
        """
        member = self._ledger.hear(report)
        member.held += 1
        deadline = self._clock() + self.timing.hold_s
        try:
            while True:
                order = self._order(member)
                if order is not None:
                    return order
                left = deadline - self._clock()
                if left <= 0:
                    return Order("nothing", hold_s=self.timing.hold_s)
                await self._ledger.call(timeout_s=min(left, self.timing.retry_s))
                self._ledger.check(report)
        finally:
            member.held -= 1
            member.seen_at = self._clock()

    def _order(self, member: Membership) -> Order | None:
        asking = self._asking
        if asking is not None and member.name in self._asked:
            voted = member.prepared is not None and member.prepared.version == asking.version
            if not voted:
                return Order("prepare", asking.version, asking, self.timing.hold_s)
        target = self.target(member.name)
        if member.running == target.version:
            return None
        if member.failed is not None and member.failed.version == target.version:
            waited_s = self._clock() - member.failed_at
            if waited_s < self.timing.retry_s:
                return None
        member.ordered = target.version
        return Order("apply", target.version, target, self.timing.hold_s)

    def target(self, name: str) -> Snapshot:
        """What this member is to run."""
        if self._trial is not None and name in self._canaries:
            return self._trial
        return self._running

    def live(self) -> list[Membership]:
        return self._ledger.live(stale_after_s=self.timing.stale_after_s)

    async def ask(self, snapshot: Snapshot) -> list[str]:
        """The refusals. A member that falls silent is not waited for; it asks when it is back."""
        self._asking = snapshot
        self._asked = frozenset(member.name for member in self.live())
        self._ledger.wake()

        def pending() -> list[Membership]:
            return [
                member
                for member in self.live()
                if member.name in self._asked and not _voted(member, snapshot.version)
            ]

        await self._ledger.until(lambda: not pending(), timeout_s=self._patience_s())
        refusals = [f"{member.name} does not answer" for member in pending()]
        refusals += [
            f"{member.name} refused: {member.prepared.refusal}"
            for member in self._ledger
            if _voted(member, snapshot.version) and member.prepared and member.prepared.refusal
        ]
        self._asking = None
        return sorted(refusals)

    async def try_on(self, snapshot: Snapshot, names: frozenset[str], canary: Canary) -> str | None:
        """Why the change must not go on, or None. The canaries keep running it."""
        self._trial = snapshot
        self._canaries = names
        self._ledger.wake()

        def canary_members() -> list[Membership]:
            return [member for member in self.live() if member.name in names]

        def lost() -> str | None:
            missing = names - {member.name for member in canary_members()}
            return f"{min(missing)} fell silent" if missing else None

        def wrong() -> str | None:
            for member in canary_members():
                reason = canaries.unwell(canary, member, version=snapshot.version)
                if reason is not None:
                    return reason
            return lost()

        def taken() -> bool:
            return all(member.running == snapshot.version for member in canary_members())

        await self._ledger.until(
            lambda: wrong() is not None or taken(), timeout_s=self._patience_s()
        )
        if wrong() is None and not taken():
            return "a canary does not take it"
        await self._ledger.until(lambda: wrong() is not None, timeout_s=canary.bake_s)
        return wrong()

    async def commit(self, snapshot: Snapshot) -> list[str]:
        """All members are to run it from now on. The refusals, at the first one at once."""
        self._running = snapshot
        self._trial = None
        self._canaries = frozenset()
        self._ledger.wake()
        version = snapshot.version

        def refusals() -> list[str]:
            return sorted(
                f"{member.name} refused: {member.failed.refusal}"
                for member in self.live()
                if member.failed is not None and member.failed.version == version
            )

        def behind() -> list[Membership]:
            return [member for member in self.live() if member.running != version]

        await self._ledger.until(
            lambda: bool(refusals()) or not behind(), timeout_s=self._patience_s()
        )
        return refusals() or [f"{member.name} does not take it" for member in behind()]

    def _patience_s(self) -> float:
        return _PATIENCE * self.timing.stale_after_s


def _voted(member: Membership, version: int) -> bool:
    return member.prepared is not None and member.prepared.version == version
