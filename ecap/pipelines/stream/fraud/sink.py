"""Decisions by COPY, alerts with their events, and what became of the orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ecap.clients import outbox
from ecap.clients.postgres import Connection, UniqueViolation
from ecap.clients.queries import load_queries
from ecap.domain.analytics.revenue import outcome_of
from ecap.domain.events.alerts import FraudAlert
from ecap.domain.events.envelope import Event, new_event
from ecap.domain.events.orders import OrderChanged, OrderPlaced
from ecap.domain.fraud.scoring import Verdict
from ecap.domain.values.ids import alert_id
from ecap.domain.values.money import to_decimal

_SQL = load_queries(__package__)
_COLUMNS = (
    "transaction_id",
    "user_id",
    "decision",
    "score",
    "reasons",
    "amount",
    "currency",
    "scored_live",
    "late",
    "occurred_at",
)
_REASONS = _COLUMNS.index("reasons")


class Decided(msgspec.Struct, frozen=True):
    event: Event
    order: OrderPlaced
    verdict: Verdict
    late: bool


class Ended(msgspec.Struct, frozen=True):
    """The order reached another status later."""

    at: datetime
    order: OrderChanged


Result = Decided | Ended


async def write(conn: Connection, results: Sequence[Result]) -> None:
    decided = [result for result in results if isinstance(result, Decided)]
    if decided:
        await _decisions(conn, decided)
    alerting = [result for result in decided if result.verdict.decision != "approve"]
    if alerting:
        await _alerts(conn, alerting)
    # The last one counts; a statement may not update a row twice.
    ended = {r.order.order_id: r for r in results if isinstance(r, Ended)}
    if ended:
        await conn.execute(
            _SQL["record_outcomes"],
            list(ended),
            [outcome_of(r.order) for r in ended.values()],
            [r.at for r in ended.values()],
        )


async def _decisions(conn: Connection, decided: Sequence[Decided]) -> None:
    rows = [_row(result) for result in decided]
    try:
        async with conn.transaction():
            await conn.copy_records_to_table(
                "decisions", schema_name="fraud", columns=_COLUMNS, records=rows
            )
    except UniqueViolation:
        # A producer repeated an order under a new position. COPY cannot skip rows.
        columns = [list(column) for column in zip(*rows, strict=True)]
        columns[_REASONS] = [" ".join(reasons) for reasons in columns[_REASONS]]
        await conn.execute(_SQL["insert_decisions"], *columns)


def _row(result: Decided) -> tuple[object, ...]:
    order, verdict = result.order, result.verdict
    return (
        order.order_id,
        order.user_id,
        verdict.decision,
        verdict.score,
        verdict.reasons,
        to_decimal(order.amount_minor),
        order.currency,
        order.scored,
        result.late,
        result.event.occurred_at,
    )


async def _alerts(conn: Connection, alerting: Sequence[Decided]) -> None:
    orders = [result.order for result in alerting]
    verdicts = [result.verdict for result in alerting]
    written = await conn.fetch(
        _SQL["insert_alerts"],
        [alert_id(order.order_id) for order in orders],
        [order.order_id for order in orders],
        [order.user_id for order in orders],
        [verdict.decision for verdict in verdicts],
        [verdict.score for verdict in verdicts],
        [" ".join(verdict.reasons) for verdict in verdicts],
        [to_decimal(order.amount_minor) for order in orders],
        [order.currency for order in orders],
        [result.event.occurred_at for result in alerting],
    )
    new = {row["transaction_id"] for row in written}
    events = [_alert(result) for result in alerting if result.order.order_id in new]
    await outbox.append(conn, "fraud", "fraud-alerts", events)


def _alert(result: Decided) -> Event:
    order, verdict = result.order, result.verdict
    return new_event(
        FraudAlert(
            transaction_id=order.order_id,
            user_id=order.user_id,
            decision=verdict.decision,
            reasons=verdict.reasons,
            score=verdict.score,
            amount_minor=order.amount_minor,
            currency=order.currency,
        ),
        key=str(order.order_id),
        producer="fraud",
        now=result.event.occurred_at,
        traceparent=result.event.traceparent,
        event_id=alert_id(order.order_id),
    )
