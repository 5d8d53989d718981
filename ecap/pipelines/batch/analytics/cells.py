"""Totals by minute, wherever they come from, and where two of them differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

from ecap.clients.postgres import Connection
from ecap.clients.queries import load_queries
from ecap.domain.analytics.revenue import Totals
from ecap.domain.values.money import to_decimal, to_minor
from ecap.domain.values.windows import micros, moment

_SQL = load_queries(__package__)

Table = Literal["revenue_minute", "orders_minute"]


class Window(msgspec.Struct, frozen=True):
    """Minutes [since, until), in microseconds."""

    since: int
    until: int

    def holds(self, minute: int) -> bool:
        return self.since <= minute < self.until


class Key(NamedTuple):
    """`minute` is its start in microseconds; orders have no category."""

    table: Table
    minute: int
    category: str
    outcome: str


# [units or orders, amount in minor units]; what is missing is (0, 0).
Pair = tuple[int, int]
Cells = dict[Key, Pair]


class Difference(msgspec.Struct, frozen=True):
    table: Table
    minute: str
    category: str
    outcome: str
    stream: Pair
    batch: Pair


def of(totals: Totals, window: Window) -> Cells:
    found: Cells = {}
    for (minute, category, outcome), (units, amount) in totals.revenue.items():
        found[Key("revenue_minute", minute, category, outcome)] = units, amount
    for (minute, outcome), (orders, amount) in totals.orders.items():
        found[Key("orders_minute", minute, "", outcome)] = orders, amount
    return {key: pair for key, pair in found.items() if any(pair) and window.holds(key.minute)}


def add(cells: Cells, more: Mapping[Key, Pair]) -> None:
    for key, (count, amount) in more.items():
        before = cells.get(key, (0, 0))
        cells[key] = before[0] + count, before[1] + amount


async def stored(conn: Connection, window: Window) -> Cells:
    """What the stream wrote."""
    span = moment(window.since), moment(window.until)
    found: Cells = {}
    for row in await conn.fetch(_SQL["revenue_cells"], *span):
        key = Key("revenue_minute", micros(row["minute"]), row["category"], row["outcome"])
        found[key] = row["units"], to_minor(row["amount"])
    for row in await conn.fetch(_SQL["orders_cells"], *span):
        key = Key("orders_minute", micros(row["minute"]), "", row["outcome"])
        found[key] = row["orders"], to_minor(row["amount"])
    return found


def differences(stream: Cells, batch: Cells) -> Iterator[Difference]:
    for key in sorted(stream.keys() | batch.keys()):
        here, there = stream.get(key, (0, 0)), batch.get(key, (0, 0))
        if here != there:
            minute = f"{moment(key.minute):%Y-%m-%dT%H:%MZ}"
            yield Difference(key.table, minute, key.category, key.outcome, here, there)


def told(one: Difference) -> str:
    cell = " ".join(filter(None, (one.table, one.minute, one.category, one.outcome)))
    return f"{cell}: the stream has {_pair(one.stream)}, the events say {_pair(one.batch)}"


def _pair(pair: Pair) -> str:
    return f"{pair[0]} worth {to_decimal(pair[1])}"
