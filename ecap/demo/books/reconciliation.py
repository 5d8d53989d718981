"""The rows of the reconciliation: each stage against what the shoppers were told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from ecap.demo.books.amounts import money
from ecap.demo.books.books import Analytics, Entry, Notice
from ecap.demo.books.comparison import Row, compare, compare_ids, compare_sums, named
from ecap.demo.books.revenue import Share, add_up, share
from ecap.demo.books.topic import Reading
from ecap.demo.shoppers.ledger import Ledger
from ecap.domain.events.envelope import Event
from ecap.domain.events.orders import OrderCancelled, OrderPlaced

_TOPIC = "Kafka transactions"
_KIND = {"approve": "order_approved", "review": "order_placed", "deny": "order_denied"}


@dataclass(frozen=True)
class Evidence:
    """What every stage has about the people of this run."""

    orders: Sequence[Entry]
    categories: Mapping[str, tuple[int, int]]
    reading: Reading
    decisions: Sequence[Entry]
    unscored: frozenset[UUID]
    """Orders that went to review because no shard answered in time."""
    alerts: Sequence[Entry]
    notices: Sequence[Notice]
    profiles: frozenset[UUID]
    before: Analytics
    after: Analytics


def reconcile(ledger: Ledger, found: Evidence) -> list[Row]:
    told = {
        id_: Entry(id_, placed.answer.amount_minor, placed.answer.decision)
        for id_, placed in ledger.placed.items()
    }
    own = [event for event in found.reading.events.values() if _user(event) in ledger.users]
    placed = [event for event in own if isinstance(event.payload, OrderPlaced)]
    share_ = share(found.before, found.after, _between(found), users=frozenset(ledger.users))
    return [
        _accepted(ledger, told),
        compare("orders stored", "SQL orders.orders", told, found.orders),
        _events(told, placed, found),
        compare("decisions", "SQL fraud.decisions", told, found.decisions),
        _alerts(told, found),
        *_notices(told, own, found),
        _counted(told, share_),
        *_revenue(ledger, share_, found),
        *_changes(ledger, own, found, share_),
        compare_ids("profiles", "SQL users.profiles", ledger.users, found.profiles),
    ]


def _user(event: Event) -> UUID | None:
    return getattr(event.payload, "user_id", None)


def next_positions(analytics: Analytics) -> dict[int, int]:
    return {number: position.next_pos for number, position in analytics.positions.items()}


def _between(found: Evidence) -> list[Event]:
    """The events the analytics stream applied from one snapshot to the other."""
    before, after = found.before.positions, found.after.positions
    return [
        event
        for slot, event in found.reading.events.items()
        if slot.partition in after
        and before[slot.partition].next_pos <= slot.pos < after[slot.partition].next_pos
    ]


def _accepted(ledger: Ledger, told: Mapping[UUID, Entry]) -> Row:
    faults = [*ledger.contradictions]
    by_lines = add_up(ledger.by_category.values())[1]
    total = sum(entry.amount_minor for entry in told.values())
    if by_lines != total:
        faults.append(f"their lines add up to {money(by_lines)}")
    faults += named("never answered", ledger.unsettled - told.keys())
    return Row("orders accepted", "HTTP 201 answers", len(told), total, tuple(faults))


def _events(told: Mapping[UUID, Entry], placed: Sequence[Event], found: Evidence) -> Row:
    entries = [
        Entry(p.order_id, p.amount_minor, p.decision or "none")
        for p in (event.payload for event in placed)
        if isinstance(p, OrderPlaced)
    ]
    row = compare("order.placed", _TOPIC, told, entries, _carried(found.reading))
    times = Counter(event.id for event in placed)
    faults = [*row.faults, *named("event ids used twice", [i for i, n in times.items() if n > 1])]
    gone = found.reading.missing(next_positions(found.before), next_positions(found.after))
    if gone:
        faults.append(f"{len(gone)} positions are nowhere, the first is {gone[0]}")
    lines = sum(
        line.quantity * line.unit_price_minor
        for event in placed
        if isinstance(event.payload, OrderPlaced)
        for line in event.payload.lines
    )
    if lines != row.amount_minor:
        faults.append(f"their lines add up to {money(lines)}")
    return Row(row.stage, row.source, row.count, row.amount_minor, tuple(faults), row.note)


def _carried(reading: Reading) -> str:
    notes = []
    if reading.repeated:
        notes.append(f"{reading.repeated} records came again under their position")
    if reading.refound:
        notes.append(f"{reading.refound} events the broker has lost were read from orders.outbox")
    if reading.unreadable:
        notes.append(f"{reading.unreadable} records of others are no events")
    return "; ".join(notes)


def _alerts(told: Mapping[UUID, Entry], found: Evidence) -> Row:
    expected = {id_: entry for id_, entry in told.items() if entry.mark != "approve"}
    return compare("alerts", "SQL fraud.alerts", expected, found.alerts)


def _notices(told: Mapping[UUID, Entry], own: Sequence[Event], found: Evidence) -> Iterable[Row]:
    """Without those of later changes of an order, which have notifications of their own."""
    source = "SQL notifications.deliveries"
    changes = {event.id for event in own if not isinstance(event.payload, OrderPlaced)}
    expected = {
        id_: Entry(id_, entry.amount_minor, _KIND[entry.mark]) for id_, entry in told.items()
    }
    about = [notice for notice in found.notices if notice.event_id not in changes]
    yield compare("notifications", source, expected, [notice.entry for notice in about])
    delivered = [notice.entry for notice in about if notice.status == "delivered"]
    yield compare("e-mails delivered", source, expected, delivered)


def _counted(told: Mapping[UUID, Entry], part: Share) -> Row:
    total = sum(entry.amount_minor for entry in told.values())
    return compare_sums(
        "orders by minute",
        "SQL Δ analytics.orders_minute",
        (len(told), total),
        part.orders,
        note=_others(part),
        faults=part.order_faults,
    )


def _others(part: Share) -> str:
    if not part.others:
        return "the difference over the run"
    return f"the difference over the run, without {part.others} orders of others"


def _revenue(ledger: Ledger, part: Share, found: Evidence) -> Iterable[Row]:
    source = "SQL Δ analytics.revenue_minute"
    ours, theirs, rows = ledger.by_category, part.by_category, found.categories
    yield compare_sums(
        "revenue",
        source,
        add_up(ours.values()),
        add_up(theirs.values()),
        note=_others(part),
        unit="units",
        faults=part.revenue_faults,
    )
    for category in sorted(ours.keys() | theirs.keys() | rows.keys()):
        lines = rows.get(category, (0, 0))
        faults = []
        if lines != ours.get(category, (0, 0)):
            faults.append(f"rows in orders.lines: {lines[0]} units, {money(lines[1])}")
        yield compare_sums(
            f"  {category}",
            source,
            ours.get(category, (0, 0)),
            theirs.get(category, (0, 0)),
            unit="units",
            faults=faults,
        )


def _changes(ledger: Ledger, own: Sequence[Event], found: Evidence, part: Share) -> Iterable[Row]:
    cancelled = {
        id_: Entry(id_, ledger.placed[id_].answer.amount_minor, "cancelled")
        for id_ in ledger.cancelled
    }
    events = [
        Entry(event.payload.order_id, event.payload.amount_minor, "cancelled")
        for event in own
        if isinstance(event.payload, OrderCancelled)
    ]
    yield compare("order.cancelled", _TOPIC, cancelled, events)
    yield compare_sums(
        "cancelled",
        "SQL Δ analytics.orders_minute",
        (len(cancelled), sum(entry.amount_minor for entry in cancelled.values())),
        part.by_outcome.get("cancelled", (0, 0)),
        note=_others(part),
    )
