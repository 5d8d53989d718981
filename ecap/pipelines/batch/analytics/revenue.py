"""`revenue`: the stream's totals must equal what its events say, cell by cell.

The events are judged and added up by the stream's own code; only who adds is another.
What the stream has stored and how far it has read come from one snapshot, so the
comparison is exact while the stream goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from ecap.actors.stream.pipeline import Record
from ecap.clients.database import open_database
from ecap.clients.postgres import Connection, Pool
from ecap.config import Settings
from ecap.domain.events.codec import decode
from ecap.domain.values.windows import micros, moment
from ecap.errors import Invalid
from ecap.pipelines.batch.analytics import cells
from ecap.pipelines.batch.analytics.cells import Cells, Key, Pair, Window
from ecap.pipelines.batch.frame import applied
from ecap.pipelines.batch.frame.applied import TOPIC, Lane, Slice
from ecap.pipelines.batch.frame.arguments import Revenue
from ecap.pipelines.batch.frame.job import Outcome
from ecap.pipelines.batch.frame.spread import Spread
from ecap.pipelines.stream.analytics import pipeline as analytics
from ecap.pipelines.stream.analytics.pipeline import AnalyticsPipeline
from ecap.pipelines.stream.analytics.sink import Additions

_PIPELINE = AnalyticsPipeline.name
# Clocks of those who take orders may be this far from PostgreSQL's.
_ASKEW = timedelta(hours=1)
_ALWAYS = Window(micros(datetime(1970, 1, 1, tzinfo=UTC)), micros(datetime(9000, 1, 1, tzinfo=UTC)))
_NAMED_MAX = 50


class Recount(msgspec.Struct, frozen=True):
    """`refused` are positions that the stream should not have applied; `mended` are
    dead letters that it would apply now."""

    cells: Sequence[tuple[Key, Pair]]
    events: int
    refused: Sequence[int]
    mended: int


@dataclass(frozen=True)
class _Snapshot:
    lanes: Sequence[Lane]
    slices: Sequence[Slice]
    window: Window
    stored: Cells


def run(settings: Settings, arguments: Revenue, spread: Spread) -> Outcome:
    taken = asyncio.run(_snapshot(settings, arguments))
    batch: Cells = {}
    events, mended, refused = 0, 0, []
    counted = spread(partial(recount, window=taken.window), taken.slices, Recount)
    for part, found in zip(taken.slices, counted, strict=True):
        cells.add(batch, dict(found.cells))
        events += found.events
        mended += found.mended
        refused += [f"{TOPIC}/{part.partition} {pos}" for pos in found.refused]
    differing = list(cells.differences(taken.stored, batch))
    compared = len(taken.stored.keys() | batch.keys())
    aside = sum(len(part.aside) for part in taken.slices)
    since = moment(taken.window.since) if taken.window.since > _ALWAYS.since else None
    lines = [
        f"{events} events of {len(taken.lanes)} partitions; {aside} more are dead letters,"
        f" {mended} of which the stream would take now (`ecap dlq replay`)",
        f"{compared} cells compared" + (f", from {since:%Y-%m-%dT%H:%MZ} on" if since else ""),
        *(f"applied by the stream, though it refuses it: {name}" for name in refused[:_NAMED_MAX]),
        *(cells.told(one) for one in differing[:_NAMED_MAX]),
    ]
    more = max(0, len(differing) - _NAMED_MAX) + max(0, len(refused) - _NAMED_MAX)
    lines += [f"and {more} more; `--arg out=FILE` has all"] if more else []
    good = not differing and not refused
    lines.append(
        "the stream equals the recomputation" if good else f"{len(differing)} cells differ"
    )
    document = {
        "events": events,
        "dead_letters": aside,
        "mended": mended,
        "cells": compared,
        "since": since,
        "refused": refused,
        "differences": differing,
    }
    return Outcome(good, lines, msgspec.to_builtins(document))


def recount(settings: Settings, part: Slice, *, window: Window) -> Recount:
    return asyncio.run(_recount(settings, part, window))


async def _recount(settings: Settings, part: Slice, window: Window) -> Recount:
    counting = _Counting(analytics.build(settings), part)
    async with open_database(settings, service="job") as pool:
        await counting.read(pool)
    found = cells.of(counting.additions.totals, window)
    return Recount(list(found.items()), counting.events, counting.refused, counting.mended)


class _Counting:
    def __init__(self, pipeline: AnalyticsPipeline, part: Slice) -> None:
        self._pipeline = pipeline
        self._part = part
        # Tells only which events are late, and totals do not ask.
        self._state = pipeline.new_state(TOPIC, part.partition)
        self.additions = Additions()
        self.events = 0
        self.mended = 0
        self.refused: list[int] = []

    async def read(self, pool: Pool) -> None:
        aside = set(self._part.aside)
        async for page in applied.pages(pool, self._part):
            for pos, body in page:
                taken = self._take(pos, body, counts=pos not in aside)
                if pos in aside:
                    self.mended += taken
                elif not taken:
                    self.refused.append(pos)

    def _take(self, pos: int, body: bytes, *, counts: bool) -> bool:
        """Whether the stream takes the event."""
        try:
            record = Record(TOPIC, self._part.partition, pos, decode(body))
            result = self._pipeline.apply(self._state, record)
        except ValueError:  # as the runtime does, which sets the event aside
            return False
        if counts:
            self.events += 1
            if result is not None:
                self.additions.add(result)
        return True


async def _snapshot(settings: Settings, arguments: Revenue) -> _Snapshot:
    async with (
        open_database(settings, service="job") as pool,
        pool.connection() as conn,
        conn.transaction(isolation="repeatable_read", readonly=True),
    ):
        found = await applied.lanes(conn, _PIPELINE)
        aside = await applied.set_aside(conn, _PIPELINE)
        window = await _window(conn, found, arguments)
        slices = [
            part
            for lane in found
            for part in applied.sliced(
                lane,
                archive=arguments.archive,
                size=arguments.slice_events,
                aside=aside.get(lane.partition, ()),
            )
        ]
        return _Snapshot(found, slices, window, await cells.stored(conn, window))


async def _window(conn: Connection, found: Sequence[Lane], arguments: Revenue) -> Window:
    """Without the oldest events only the minutes after them can be recomputed whole: an
    order's changes come after it, in its partition."""
    since = micros(arguments.since) if arguments.since else _ALWAYS.since
    until = micros(arguments.until) if arguments.until else _ALWAYS.until
    cut = [lane for lane in found if lane.kept_from > lane.begin]
    if cut and arguments.archive is None:
        whole = max([await applied.kept_since(conn, lane) for lane in cut]) + _ASKEW
        first = micros(whole.replace(second=0, microsecond=0) + timedelta(minutes=1))
        if arguments.since and since < first:
            raise Invalid(
                f"since: the outbox has forgotten events that minutes before"
                f" {moment(first):%Y-%m-%dT%H:%MZ} need; give archive=, or a later since",
                field="since",
            )
        since = max(since, first)
    return Window(since, until)
