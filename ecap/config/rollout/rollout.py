"""Bringing a version to the members: ask all, try on some, commit to all.

It decides nothing and remembers nothing: the hub writes each step to the history
before it is taken here. No step has a time limit of its own: a member either
answers, which its own limits see to, or falls silent and is not waited for. Only
one that keeps talking and does nothing, a fault, meets `_PATIENCE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ecap.config.protocol import Instruction, Report, Snapshot
from ecap.config.rollout import canary as canaries
from ecap.config.rollout.canary import Canary
from ecap.config.rollout.contents import Contents
from ecap.config.rollout.ledger import Ledger, Membership
from ecap.config.settings.hub import Hub as Timing

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
        self._contents = Contents()
        self._contents.know(running)
        self._trial: Snapshot | None = None
        self._canaries: frozenset[str] = frozenset()
        self._asking: Snapshot | None = None
        self._asked: frozenset[str] = frozenset()

    async def answer(self, report: Report) -> Instruction:
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
                    return Instruction("nothing", hold_s=self.timing.hold_s)
                if member.failed is not None:
                    left = min(left, self.timing.retry_s)
                await self._ledger.call(timeout_s=left)
                # Processes that follow each other under one name share `member`. What is for the
                # newest of them must not be answered to the one before.
                self._ledger.check(report)
        finally:
            member.held -= 1
            member.seen_at = self._clock()

    def _order(self, member: Membership) -> Instruction | None:
        asking = self._asking
        asked = asking is not None and member.name in self._asked
        if asking is not None and asked and not _voted(member, asking.version):
            missing = self._contents.of(member, asking)
            return Instruction("prepare", asking.version, missing, self.timing.hold_s)
        target = self.target(member.name)
        if member.running == target.version:
            return None
        if member.failed is not None and member.failed.version == target.version:
            if member.failed.back_to is not None:
                return None  # it ran there, and did harm
            waited_s = self._clock() - member.failed_at
            if waited_s < self.timing.retry_s:
                return None
        member.ordered = target.version
        # A vote is enough, yes or no. To tell them apart, as was done at first, gained nothing: a
        # member with nothing staged says so in its next report, and is sent everything.
        ready = _voted(member, target.version)
        content = None if ready else self._contents.of(member, target)
        return Instruction("apply", target.version, content, self.timing.hold_s)

    def target(self, name: str) -> Snapshot:
        """What this member is to run."""
        if self._trial is not None and name in self._canaries:
            return self._trial
        return self._running

    def live(self) -> list[Membership]:
        return self._ledger.live(stale_after_s=self.timing.stale_after_s)

    def concerned(self, snapshot: Snapshot) -> list[Membership]:
        """Those who may have something against it."""
        return [member for member in self.live() if self._may_refuse(member, snapshot)]

    async def ask(self, snapshot: Snapshot, asked: list[Membership]) -> list[str]:
        """The refusals. A member that falls silent is not waited for; it asks when it is back."""
        self._asking = snapshot
        self._asked = frozenset(member.name for member in asked)
        self._ledger.wake()

        def silent(member: Membership) -> bool:
            return self._lives(member) and not _voted(member, snapshot.version)

        due = _Due(asked, silent)
        await self._ledger.until(due.nobody, timeout_s=self._patience_s())
        refusals = [f"{name} does not answer" for name in due.names()]
        refusals += [
            f"{member.name} refused: {member.prepared.refusal}"
            for member in self._ledger
            if _voted(member, snapshot.version) and member.prepared and member.prepared.refusal
        ]
        self._asking = None
        return sorted(refusals)

    def _may_refuse(self, member: Membership, snapshot: Snapshot) -> bool:
        """Of the same release, the settings are as valid there as here; what is left are the
        checks of its own subscribers."""
        content = self._contents.of(member, snapshot)
        return isinstance(content, Snapshot) or any(map(content.touches, member.checks))

    async def try_on(self, snapshot: Snapshot, names: frozenset[str], canary: Canary) -> str | None:
        """Why the change must not go on, or None. The canaries keep running it."""
        self._trial = snapshot
        self._contents.know(snapshot)
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
        self._contents.know(snapshot)
        self._trial = None
        self._canaries = frozenset()
        self._ledger.wake()
        version = snapshot.version

        def behind(member: Membership) -> bool:
            return self._lives(member) and member.running != version

        due = _Due(self.live(), behind)
        await self._ledger.until(
            lambda: bool(self._ledger.failures(version)) or due.nobody(),
            timeout_s=self._patience_s(),
        )
        return self._ledger.failures(version) or [
            f"{name} does not take it" for name in due.names()
        ]

    def _lives(self, member: Membership) -> bool:
        return self._ledger.lives(member, stale_after_s=self.timing.stale_after_s)

    def _patience_s(self) -> float:
        return _PATIENCE * self.timing.stale_after_s


class _Due:
    """Members that have something to do. Asked at each report, so it looks at one of them."""

    def __init__(self, members: Iterable[Membership], still: Callable[[Membership], bool]) -> None:
        self._left = list(members)
        self._still = still

    def nobody(self) -> bool:
        # Who is done is not looked at again. At first each report looked at every member, so that a
        # round with n of them took n * n looks.
        while self._left and not self._still(self._left[-1]):
            self._left.pop()
        return not self._left

    def names(self) -> list[str]:
        return [member.name for member in self._left if self._still(member)]


def _voted(member: Membership, version: int) -> bool:
    return member.prepared is not None and member.prepared.version == version
