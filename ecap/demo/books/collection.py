"""Where the books stand before the run, and what they hold after it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from ecap.config.settings.connections.kafka import Kafka
from ecap.demo.books import topic
from ecap.demo.books.books import Analytics, Books
from ecap.demo.books.reconciliation import Evidence, next_positions

_POLL_S = 0.25
# As long as something moves, it is waited for.
_STUCK_S = 30.0
_LONGEST_S = 300.0


@dataclass(frozen=True)
class Beginning:
    analytics: Analytics
    offsets: Mapping[int, int]


@dataclass(frozen=True)
class Left:
    """What the streams still have to do for this run; `behind` by pipeline."""

    unsent: int
    behind: Mapping[str, int]
    profiles: int
    mails: int

    @property
    def nothing(self) -> bool:
        return not (self.unsent or any(self.behind.values()) or self.profiles or self.mails)

    def __str__(self) -> str:
        parts = [f"{name} {count}" for name, count in sorted(self.behind.items()) if count]
        for name, count in (
            ("outbox", self.unsent),
            ("profiles", self.profiles),
            ("mails", self.mails),
        ):
            if count:
                parts.append(f"{name} {count}")
        return ", ".join(parts) or "nothing"


async def begin(books: Books, kafka: Kafka, *, now: datetime) -> Beginning:
    """Raises Unavailable."""
    # A minute early, because the clock that stamps orders may be another machine's.
    since = now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    analytics = await books.analytics(since)
    ends = await topic.ends(kafka)
    # The stream may be behind: what it adds from here on begins where it is.
    offsets = {
        number: min(end, analytics.positions[number].kafka_offset)
        if number in analytics.positions
        else 0
        for number, end in ends.items()
    }
    return Beginning(analytics, offsets)


async def drained(
    books: Books, users: Collection[UUID], *, progress: Callable[[Left], None]
) -> Left:
    """What is left when everything of these people has arrived, or nothing moves any more."""
    started = moved_at = time.monotonic()
    written = await books.last_written()
    targets: Mapping[int, int] = {}
    unsent = -1
    before: Left | None = None
    while True:
        if unsent:
            unsent = await books.unplaced(written)
            targets = await books.given_out()
        left = Left(
            unsent,
            await books.behind(targets),
            len(users) - len(await books.profiles(users)),
            await books.undelivered(users),
        )
        now = time.monotonic()
        if left != before:
            before, moved_at = left, now
            progress(left)
        if left.nothing or now - moved_at > _STUCK_S or now - started > _LONGEST_S:
            return left
        await asyncio.sleep(_POLL_S)


async def gather(
    books: Books, kafka: Kafka, users: frozenset[UUID], beginning: Beginning
) -> Evidence:
    """Raises Unavailable."""
    after = await books.analytics(beginning.analytics.since)
    reading = await topic.read(kafka, beginning.offsets)
    span = next_positions(beginning.analytics), next_positions(after)
    if reading.missing(*span):
        # A broker that lost its data numbers its records anew, and is only sent again
        # what some stream still needs; the rest is where it came from.
        reading = await topic.read(kafka, {})
        reading.refind(await books.outbox(reading.missing(*span)))
    return Evidence(
        orders=await books.orders(users),
        categories=await books.categories(users),
        reading=reading,
        decisions=await books.decisions(users),
        unscored=frozenset(await books.unscored(users)),
        alerts=await books.alerts(users),
        notices=await books.notices(users),
        profiles=frozenset(await books.profiles(users)),
        before=beginning.analytics,
        after=after,
    )
