"""`archive`: the transactions as Parquet by day of event time, each event exactly once.

A run goes on where the last complete range of each partition ends, so it can be
repeated, and stopped at any time. To be run more often than `outbox.retention_s`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
import pyarrow as pa

from ecap.clients.database import open_database
from ecap.clients.postgres import Connection
from ecap.clients.queries import load_queries
from ecap.config import Settings
from ecap.domain.events.codec import EventError, decode_envelope, open_envelope
from ecap.errors import Conflict, Unavailable
from ecap.pipelines.batch.frame import applied
from ecap.pipelines.batch.frame.applied import TOPIC, Slice
from ecap.pipelines.batch.frame.arguments import Archive
from ecap.pipelines.batch.frame.job import Outcome
from ecap.pipelines.batch.frame.parquet import Range, open_lake
from ecap.pipelines.batch.frame.spread import Spread

_SQL = load_queries(__package__)

_SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("pos", pa.int64()),
        ("id", pa.string()),
        ("type", pa.string()),
        ("version", pa.int32()),
        ("occurred_at", pa.timestamp("us", tz="UTC")),
        ("key", pa.string()),
        ("order_id", pa.string()),
        ("user_id", pa.string()),
        ("amount_minor", pa.int64()),
        ("currency", pa.string()),
        ("decision", pa.string()),
        ("score", pa.int32()),
        ("reasons", pa.list_(pa.string())),
        ("previous", pa.string()),
        ("body", pa.binary()),
    ]
)
_FROM_PAYLOAD = _SCHEMA.names[_SCHEMA.names.index("order_id") : -1]
# Events that are no events, which dead letters tell of; they keep their position here.
_UNDATED = "undated"


class Wanted(msgspec.Struct, frozen=True):
    slice: Slice
    to: str


class Written(msgspec.Struct, frozen=True):
    events: int
    files: int


def run(settings: Settings, arguments: Archive, spread: Spread) -> Outcome:
    with asyncio.Runner() as runner, _held(runner, _alone(settings, arguments.to)) as conn:
        swept = open_lake(arguments.to).sweep(TOPIC)
        parts = runner.run(_missing(conn, arguments))
        found = list(spread(write, parts, Written))
    events, files = sum(one.events for one in found), sum(one.files for one in found)
    lines = [f"{events} events in {files} new files below {arguments.to}/{TOPIC}"]
    if swept:
        lines.append(f"{swept} files of a run that did not end were removed")
    return Outcome(True, lines, {"events": events, "files": files, "swept": swept})


@contextmanager
def _held(
    runner: asyncio.Runner, context: AbstractAsyncContextManager[Connection]
) -> Iterator[Connection]:
    """Open while the loop rests, because Ray Data has none."""
    conn = runner.run(context.__aenter__())
    try:
        yield conn
    finally:
        runner.run(context.__aexit__(None, None, None))


@asynccontextmanager
async def _alone(settings: Settings, to: str) -> AsyncIterator[Connection]:
    """Raises Conflict while another run writes there."""
    async with open_database(settings, service="job") as pool, pool.connection() as conn:
        if not await conn.fetchval(_SQL["lock_archive"], to):
            raise Conflict(f"another run archives to {to}")
        yield conn


async def _missing(conn: Connection, arguments: Archive) -> list[Wanted]:
    complete = open_lake(arguments.to).ranges(TOPIC)
    parts = []
    for lane in await applied.all_lanes(conn):
        done = complete[lane.partition][-1].end if lane.partition in complete else lane.kept_from
        if done < lane.kept_from:
            raise Unavailable(
                f"{TOPIC}/{lane.partition}: the outbox has forgotten positions {done} to"
                f" {lane.kept_from}, which this archive lacks; archive to another place from now on"
            )
        rest = msgspec.structs.replace(lane, begin=done)
        slices = applied.sliced(rest, archive=None, size=arguments.slice_events)
        parts += [Wanted(part, arguments.to) for part in slices]
    return parts


def write(settings: Settings, part: Wanted) -> Written:
    return asyncio.run(_write(settings, part))


async def _write(settings: Settings, part: Wanted) -> Written:
    rows = []
    async with open_database(settings, service="job") as pool:
        async for page in applied.pages(pool, part.slice):
            rows += [_row(part.slice.partition, pos, body) for pos, body in page]
    one = Range(part.slice.partition, part.slice.begin, part.slice.end)
    tables = {
        f"day={day}/{one.name}.parquet": pa.Table.from_pylist([row for _, row in days], _SCHEMA)
        for day, days in groupby(sorted(rows, key=_order), key=itemgetter(0))
    }
    lake = open_lake(part.to)
    lake.write(TOPIC, msgspec.structs.replace(one, files=list(tables)), tables)
    return Written(len(rows), len(tables))


def _order(dated: tuple[str, Mapping[str, Any]]) -> tuple[str, int]:
    return dated[0], dated[1]["pos"]


def _row(partition: int, pos: int, body: bytes) -> tuple[str, dict[str, Any]]:
    """The day, and the event with what is known of its payload."""
    row: dict[str, Any] = {"partition": partition, "pos": pos, "body": body}
    try:
        envelope = decode_envelope(body)
    except EventError:
        return _UNDATED, row
    row |= {
        "id": str(envelope.id),
        "type": envelope.type,
        "version": envelope.version,
        "occurred_at": envelope.occurred_at,
        "key": envelope.key,
    }
    day = f"{envelope.occurred_at.astimezone(UTC):%Y-%m-%d}"
    try:
        payload = open_envelope(envelope).payload
    except EventError:
        return day, row
    facts = msgspec.to_builtins(payload, builtin_types=())
    return day, row | {name: facts[name] for name in _FROM_PAYLOAD if name in facts}
