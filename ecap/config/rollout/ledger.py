"""Who runs what: the hub's members, and waiting until they have all done something.

Kept in memory. Members tell everything again in each report, so a new hub knows
them all after one round of reports.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ecap.config.protocol import Health, Report, Vote
from ecap.config.rollout.bell import Bell
from ecap.errors import Fenced

_LOOK_S = 0.25  # members go stale without an event


@dataclass
class Membership:
    name: str
    seen_at: float
    """Monotonic."""
    incarnation: str = ""
    kind: str = ""
    running: int = 0
    prepared: Vote | None = None
    failed: Vote | None = None
    failed_at: float = 0.0
    health: Health = field(default_factory=Health)
    prefixes: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    release: str = ""
    reports: int = 0
    ordered: int = 0
    """The version it was last told to apply and has not spoken of since."""
    held: int = 0
    """Exchanges of it that the hub has not answered yet."""


class Ledger:
    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._members: dict[str, Membership] = {}
        self._failing: dict[str, Membership] = {}
        # Two: with one, the report of any member woke all that were held here.
        self._news = Bell()
        self._calls = Bell()

    def __iter__(self) -> Iterator[Membership]:
        return iter(list(self._members.values()))

    def expect(self, names: Iterable[str]) -> None:
        """Members that an earlier hub knew; they get the usual time to be heard."""
        for name in names:
            if name not in self._members:
                self._members[name] = Membership(name, seen_at=self._clock())

    def hear(self, report: Report) -> Membership:
        member = self._members.get(report.member)
        if member is None:
            member = self._members[report.member] = Membership(report.member, self._clock())
        if member.incarnation != report.incarnation:
            member.incarnation = report.incarnation
            member.failed = None
            # The call that its predecessor left here has to end now: held, it would be a sign of
            # life of a process that is gone.
            self.wake()
        # Counted from the attempt, not from every report that tells of it again: the pause before
        # the next attempt would never be over.
        if report.failed is not None and report.failed.version == member.ordered:
            member.failed_at = self._clock()
        member.ordered = 0
        member.seen_at = self._clock()
        member.kind = report.kind
        member.running = report.running
        member.prepared = report.prepared
        member.failed = report.failed
        member.health = report.health
        member.prefixes = report.prefixes
        member.checks = report.checks
        member.release = report.release
        member.reports += 1
        if member.failed is not None:
            self._failing[member.name] = member
        else:
            self._failing.pop(member.name, None)
        self._news.ring()
        return member

    def failures(self, version: int) -> list[str]:
        """Of members that could not take it. Quick, for it is asked at each report."""
        return sorted(
            f"{member.name} refused: {member.failed.refusal}"
            for member in self._failing.values()
            if member.failed is not None and member.failed.version == version
        )

    def check(self, report: Report) -> None:
        """Raises Fenced when another incarnation of the member has been heard since."""
        member = self._members.get(report.member)
        if member is None or member.incarnation != report.incarnation:
            raise Fenced(f"a newer {report.member} has joined")

    def leave(self, name: str, incarnation: str) -> None:
        member = self._members.get(name)
        if member is not None and member.incarnation == incarnation:
            self._drop(name)
            self._news.ring()

    def live(self, *, stale_after_s: float) -> list[Membership]:
        return [m for m in self._members.values() if self.lives(m, stale_after_s=stale_after_s)]

    def lives(self, member: Membership, *, stale_after_s: float) -> bool:
        # The same object, not the same name: who left and came back has a new membership, and a
        # round that holds the old one would wait for it as long as the new one lives.
        known = self._members.get(member.name) is member
        return known and (member.held > 0 or member.seen_at > self._clock() - stale_after_s)

    def forget(self, *, silent_s: float) -> None:
        """Drop members that nobody has heard for so long that they are gone for good."""
        limit = self._clock() - silent_s
        for member in list(self._members.values()):
            if not member.held and member.seen_at < limit:
                self._drop(member.name)

    def _drop(self, name: str) -> None:
        del self._members[name]
        self._failing.pop(name, None)

    def wake(self) -> None:
        """Members are called: there may be something for them to do."""
        self._calls.ring()
        self._news.ring()

    async def call(self, *, timeout_s: float) -> None:
        """Returns when members are called, or after `timeout_s`. What other members
        report wakes nobody here: of hundreds, each would wake all."""
        await self._calls.wait(timeout_s)

    async def until(self, done: Callable[[], bool], *, timeout_s: float = math.inf) -> bool:
        """Whether `done` came true in time."""
        deadline = self._clock() + timeout_s
        while not done():
            left = deadline - self._clock()
            if left <= 0:
                return False
            await self._news.wait(min(left, _LOOK_S))
        return True
