"""Who runs what: the hub's members, and waiting until they have all done something.

Kept in memory. Members tell everything again in each report, so a new hub knows
them all after one round of reports.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ecap.config.protocol import Health, Report, Verdict
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
    prepared: Verdict | None = None
    failed: Verdict | None = None
    failed_at: float = 0.0
    health: Health = field(default_factory=Health)
    prefixes: tuple[str, ...] = ()
    reports: int = 0
    ordered: int = 0
    """The version it was last told to apply and has not spoken of since."""
    held: int = 0
    """Exchanges of it that the hub has not answered yet."""


class Ledger:
    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._members: dict[str, Membership] = {}
        self._news = asyncio.Event()
        self._calls = asyncio.Event()

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
            self.wake()
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
        member.reports += 1
        self._tell()
        return member

    def check(self, report: Report) -> None:
        """Raises Fenced when another incarnation of the member has been heard since."""
        member = self._members.get(report.member)
        if member is None or member.incarnation != report.incarnation:
            raise Fenced(f"a newer {report.member} has joined")

    def leave(self, name: str, incarnation: str) -> None:
        member = self._members.get(name)
        if member is not None and member.incarnation == incarnation:
            del self._members[name]
            self._tell()

    def live(self, *, stale_after_s: float) -> list[Membership]:
        limit = self._clock() - stale_after_s
        return [m for m in self._members.values() if m.held or m.seen_at > limit]

    def forget(self, *, silent_s: float) -> None:
        """Drop members that nobody has heard for so long that they are gone for good."""
        limit = self._clock() - silent_s
        for member in list(self._members.values()):
            if not member.held and member.seen_at < limit:
                del self._members[member.name]

    def wake(self) -> None:
        """Members are called: there may be something for them to do."""
        self._calls.set()
        self._calls = asyncio.Event()
        self._tell()

    async def call(self, *, timeout_s: float) -> None:
        """Returns when members are called, or after `timeout_s`. What other members
        report wakes nobody here: of hundreds, each would wake all."""
        await _within(self._calls, timeout_s)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def until(self, done: Callable[[], bool], *, timeout_s: float = math.inf) -> bool:
        """Whether `done` came true in time."""
        deadline = self._clock() + timeout_s
        while not done():
            left = deadline - self._clock()
            if left <= 0:
                return False
            await _within(self._news, min(left, _LOOK_S))
        return True


async def _within(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
