"""`fraud-rescore`: every order judged again, to choose thresholds before they are live.

The shard's own step sees each partition's transactions in their order, once with the
thresholds that are configured and once with those given. Both start from an empty
history and neither knows what was decided, so that they differ by the thresholds alone;
what the stream recorded stands beside them. A transaction that is approved teaches its
device, card and place, so one decision may change later ones, as it would live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from ecap.actors.stream.pipeline import Record
from ecap.clients.database import open_database
from ecap.clients.postgres import Pool
from ecap.clients.queries import load_queries
from ecap.config import Settings
from ecap.config.settings.services.fraud import Fraud
from ecap.domain.events.codec import decode
from ecap.domain.events.orders import DECISIONS, OrderPlaced
from ecap.domain.fraud.rules import RULES
from ecap.domain.fraud.scoring import Verdict
from ecap.domain.values.money import to_decimal
from ecap.pipelines.batch.frame import applied
from ecap.pipelines.batch.frame.applied import TOPIC, Slice
from ecap.pipelines.batch.frame.arguments import Rescore
from ecap.pipelines.batch.frame.job import Outcome
from ecap.pipelines.batch.frame.spread import Spread
from ecap.pipelines.stream.fraud.pipeline import FraudPipeline
from ecap.pipelines.stream.fraud.sink import Decided
from ecap.pipelines.stream.fraud.thresholds import thresholds

_SQL = load_queries(__package__)
_OWN = {"archive", "out", "examples"}


class Whole(msgspec.Struct, frozen=True):
    """All of one partition: its customers' histories need every event, in order."""

    slices: Sequence[Slice]


class Tally(msgspec.Struct):
    """Counts by key; keys are texts joined by a space, so that they travel as JSON."""

    orders: int = 0
    refused: int = 0
    recorded: dict[str, int] = {}
    """recorded decision, decision now"""
    moved: dict[str, int] = {}
    """decision with the configured thresholds, with the given ones"""
    moved_minor: dict[str, int] = {}
    fired: dict[str, int] = {}
    """reason code, which: configured or given"""
    labels: dict[str, int] = {}
    """decision with the given thresholds, what became of the order"""
    examples: dict[str, list[str]] = {}

    def add(self, other: Tally, *, examples: int) -> None:
        self.orders += other.orders
        self.refused += other.refused
        for name in ("recorded", "moved", "moved_minor", "fired", "labels"):
            mine = getattr(self, name)
            for key, count in getattr(other, name).items():
                mine[key] = mine.get(key, 0) + count
        for key, orders in other.examples.items():
            self.examples[key] = [*self.examples.get(key, ()), *orders][:examples]


def run(settings: Settings, arguments: Rescore, spread: Spread) -> Outcome:
    given = arguments.model_dump(exclude_unset=True, exclude=_OWN)
    # Validated by the settings themselves, so that what is tried here can be configured.
    tried = Fraud.model_validate({**settings.fraud.model_dump(), **given})
    parts, forgotten = asyncio.run(_partitions(settings, arguments))
    total = Tally()
    for found in spread(partial(rescore, tried=tried, examples=arguments.examples), parts, Tally):
        total.add(found, examples=arguments.examples)
    changes = {name: [getattr(settings.fraud, name), getattr(tried, name)] for name in given}
    document = {"thresholds": changes, "forgotten": forgotten, **msgspec.to_builtins(total)}
    lines = list(_told(total, changes))
    if forgotten:
        lines.append(f"without the {forgotten} oldest events, which only an archive has")
    return Outcome(True, lines, document)


async def _partitions(settings: Settings, arguments: Rescore) -> tuple[list[Whole], int]:
    """And how many events the outbox has forgotten."""
    async with open_database(settings, service="job") as pool, pool.connection() as conn:
        found = await applied.lanes(conn, FraudPipeline.name)
    wholes = [
        Whole(list(applied.sliced(lane, archive=arguments.archive, size=lane.end or 1)))
        for lane in found
    ]
    gone = sum(max(0, min(lane.kept_from, lane.end) - lane.begin) for lane in found)
    return [whole for whole in wholes if whole.slices], 0 if arguments.archive else gone


def rescore(settings: Settings, part: Whole, *, tried: Fraud, examples: int) -> Tally:
    return asyncio.run(_rescore(settings, part, tried, examples))


async def _rescore(settings: Settings, part: Whole, tried: Fraud, examples: int) -> Tally:
    before, after = _Judge(settings.fraud), _Judge(tried)
    tally = Tally()
    async with open_database(settings, service="job") as pool:
        for one in part.slices:
            async for page in applied.pages(pool, one):
                judged = list(_judged(page, one, before, after, tally))
                known = await _recorded(pool, [order.order_id for order, _, _ in judged])
                for order, was, now in judged:
                    _count(tally, order, was, now, known.get(order.order_id), examples)
    return tally


class _Judge:
    def __init__(self, settings: Fraud) -> None:
        self._pipeline = FraudPipeline(thresholds(settings), provisional_ttl=0)
        self._state = self._pipeline.new_state(TOPIC, 0)

    def judge(self, record: Record) -> Verdict | None:
        """None for an order that was seen already. Raises ValueError as the shard does."""
        result = self._pipeline.apply(self._state, record)
        return result.verdict if isinstance(result, Decided) else None


def _judged(
    page: applied.Page, part: Slice, before: _Judge, after: _Judge, tally: Tally
) -> Iterator[tuple[OrderPlaced, Verdict, Verdict]]:
    """Orders as if nobody had decided about them yet."""
    for pos, body in page:
        try:
            event = decode(body)
            order = event.payload
            if not isinstance(order, OrderPlaced):
                continue
            blank = msgspec.structs.replace(order, decision=None, scored=False, reasons=(), score=0)
            record = Record(TOPIC, part.partition, pos, replace(event, payload=blank))
            was, now = before.judge(record), after.judge(record)
        except ValueError:  # the stream has set it aside, too
            tally.refused += 1
            continue
        if was and now:
            yield order, was, now


async def _recorded(pool: Pool, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    rows = await pool.fetch(_SQL["decided"], ids)
    return {row["transaction_id"]: row for row in rows}


def _count(
    tally: Tally, order: OrderPlaced, was: Verdict, now: Verdict, known: Any, examples: int
) -> None:
    tally.orders += 1
    change = f"{was.decision} {now.decision}"
    _more(tally.moved, change)
    _more(tally.moved_minor, change, order.amount_minor)
    for which, verdict in (("configured", was), ("given", now)):
        for code in verdict.reasons:
            _more(tally.fired, f"{code} {which}")
    if known is not None:
        _more(tally.recorded, f"{known['decision']} {now.decision}")
        if known["outcome"] is not None:
            _more(tally.labels, f"{now.decision} {known['outcome']}")
    named = tally.examples.setdefault(change, []) if was.decision != now.decision else None
    if named is not None and len(named) < examples:
        named.append(str(order.order_id))


def _more(counts: dict[str, int], key: str, by: int = 1) -> None:
    counts[key] = counts.get(key, 0) + by


def _told(total: Tally, changes: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for name, (before, after) in changes.items():
        yield f"fraud.{name}: {before} -> {after}"
    yield f"{total.orders} orders judged" + (
        f", {total.refused} events refused, as by the stream" if total.refused else ""
    )
    yield "decision, configured -> given: orders, amount"
    for before in DECISIONS:
        for after in DECISIONS:
            key = f"{before} {after}"
            if key in total.moved:
                amount = to_decimal(total.moved_minor[key])
                yield f"  {before:<8}-> {after:<8}{total.moved[key]:>10}  {amount:>16}"
    yield "reason, configured -> given: times"
    for rule in RULES:
        before, after = (total.fired.get(f"{rule.code} {w}", 0) for w in ("configured", "given"))
        if before or after:
            yield f"  {rule.code:<20}{before:>8} -> {after:>8}"
    yield from _table("decision recorded by the stream -> given", total.recorded)
    yield from _table("given -> what became of the order", total.labels)
    for key, orders in sorted(total.examples.items()):
        yield f"{key.replace(' ', ' -> ')}, such as {', '.join(orders)}"


def _table(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    if counts:
        yield f"{title}: orders"
    for key, count in sorted(counts.items()):
        before, after = key.split()
        yield f"  {before:<8}-> {after:<10}{count:>8}"
