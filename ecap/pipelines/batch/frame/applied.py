"""The events a pipeline has applied, by position: exact, bounded, and read page by page.

From the outbox, which is the truth, as far back as it reaches; from the archive before
that. Positions are dense, so that a missing event is noticed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from datetime import datetime

import msgspec

from ecap.clients.postgres import Connection, Pool
from ecap.clients.queries import load_queries
from ecap.errors import Unavailable
from ecap.pipelines.batch.frame.parquet import open_lake

TOPIC = "transactions"
_PAGE_EVENTS = 2_000
_SQL = load_queries(__package__)

Page = Sequence[tuple[int, bytes]]


class Lane(msgspec.Struct, frozen=True):
    """One partition: a pipeline applied [begin, end); the outbox has [kept_from, ...)."""

    partition: int
    begin: int
    end: int
    kept_from: int


class Slice(msgspec.Struct, frozen=True):
    """Positions [begin, end) of one source; `aside` are those that were not applied."""

    partition: int
    begin: int
    end: int
    archive: str | None
    aside: tuple[int, ...] = ()


async def lanes(conn: Connection, pipeline: str) -> list[Lane]:
    return [Lane(*row.values()) for row in await conn.fetch(_SQL["lanes"], pipeline, TOPIC)]


async def all_lanes(conn: Connection) -> list[Lane]:
    """As if applied by somebody who is always done."""
    return [Lane(*row.values()) for row in await conn.fetch(_SQL["given_out"], TOPIC)]


async def set_aside(conn: Connection, pipeline: str) -> dict[int, list[int]]:
    """Positions by partition, ascending."""
    found: dict[int, list[int]] = {}
    for partition, pos in await conn.fetch(_SQL["set_aside"], pipeline, TOPIC):
        found.setdefault(partition, []).append(pos)
    return found


async def kept_since(conn: Connection, lane: Lane) -> datetime:
    """Older events of the lane are gone from the outbox."""
    at: datetime = await conn.fetchval(_SQL["kept_since"], TOPIC, lane.partition, lane.kept_from)
    return at


def sliced(
    lane: Lane, *, archive: str | None, size: int, aside: Collection[int] = ()
) -> Iterator[Slice]:
    """Without an archive, only what the outbox has."""
    border = min(max(lane.begin, lane.kept_from), lane.end)
    first = lane.begin if archive else border
    for low, high, source in ((first, border, archive), (border, lane.end, None)):
        for begin in range(low, high, size):
            end = min(begin + size, high)
            within = tuple(pos for pos in aside if begin <= pos < end)
            yield Slice(lane.partition, begin, end, source, within)


async def pages(pool: Pool, part: Slice) -> AsyncIterator[Page]:
    """Every position of the slice, in order. Raises Unavailable when one is missing."""
    at = part.begin
    if part.archive is not None:
        for page in open_lake(part.archive).pages(TOPIC, part.partition, part.begin, part.end):
            at = _follows(page, at, part)
            yield page
    else:
        while at < part.end:
            rows = await pool.fetch(_SQL["page"], TOPIC, part.partition, at, part.end, _PAGE_EVENTS)
            page = [(row["pos"], row["body"]) for row in rows]
            at = _follows(page, at, part)
            yield page
    if at != part.end:
        raise _missing(part, at)


def _follows(page: Page, at: int, part: Slice) -> int:
    for pos, _ in page:
        if pos != at:
            raise _missing(part, at)
        at += 1
    if not page:
        raise _missing(part, at)
    return at


def _missing(part: Slice, pos: int) -> Unavailable:
    if part.archive is not None:
        return Unavailable(
            f"the archive {part.archive} lacks {TOPIC}/{part.partition} from position {pos}"
        )
    return Unavailable(
        f"{TOPIC}/{part.partition} is gone from the outbox at position {pos}:"
        " it was purged while the job ran; run it again"
    )
