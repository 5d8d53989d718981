from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from unit.demo.demo_world import START, World, analytics

from ecap.demo.books.books import Analytics, Entry, Notice, Position, Slot
from ecap.demo.books.comparison import Row, named
from ecap.demo.books.reconciliation import Evidence, reconcile
from ecap.demo.books.topic import Reading
from ecap.demo.shoppers.ledger import Accepted
from ecap.domain.events.codec import encode
from ecap.domain.values.ids import new_id


@pytest.fixture
def world() -> World:
    world = World()
    world.order(1)
    world.order(2, user=2, decision="review", amount=2500_00, seconds=61)
    world.order(3, user=2, decision="deny", amount=9_99, seconds=62)
    world.cancel(world.order(4))
    return world


def rows(world: World, evidence: Evidence | None = None) -> dict[str, Row]:
    return {row.stage.strip(): row for row in reconcile(world.ledger, evidence or world.evidence())}


def wrong(world: World, evidence: Evidence) -> dict[str, str]:
    return {name: " | ".join(r.faults) for name, r in rows(world, evidence).items() if not r.ok}


def test_books_that_agree_are_right_in_every_row(world: World) -> None:
    assert wrong(world, world.evidence()) == {}
    found = rows(world)
    for stage in ("orders accepted", "orders stored", "notifications", "orders by minute"):
        assert (found[stage].count, found[stage].amount_minor) == (4, 2549_99), stage
    assert (found["revenue"].count, found["revenue"].amount_minor) == (12, 2549_99)
    assert (found["books"].amount_minor, found["garden"].amount_minor) == (2529_99, 20_00)
    assert (found["cancelled"].count, found["cancelled"].amount_minor) == (
        1,
        20_00,
    )


def test_a_run_without_orders_is_right() -> None:
    assert wrong(World(), World().evidence()) == {}


def test_orders_of_others_do_not_disturb(world: World) -> None:
    other = world.order(50, user=77, amount=31_00, ours=False)
    world.cancel(other, ours=False)
    assert wrong(world, world.evidence()) == {}
    row = rows(world)["orders by minute"]
    assert row.count == 4
    assert "without 1 orders of others" in row.note


def test_what_analytics_had_not_applied_at_the_first_look_counts(world: World) -> None:
    """The stream was two orders of others behind when the run began."""
    late = World()
    late.order(60, user=77, ours=False)
    late.order(61, user=77, ours=False)
    late.order(1)
    whole = late.evidence()
    assert wrong(late, whole) == {}
    # Had it applied them before, they would be in the first snapshot and before its position.
    ahead = replace(whole, before=analytics(late.events[:2], next_pos=102))
    assert wrong(late, ahead) == {}


@pytest.mark.parametrize(
    ("field", "stage"),
    [("orders", "orders stored"), ("decisions", "decisions")],
)
def test_a_lost_row_is_named(world: World, field: str, stage: str) -> None:
    evidence = world.evidence()
    kept: dict[str, Any] = {field: list(getattr(evidence, field))[1:]}
    assert wrong(world, replace(evidence, **kept)) == {
        stage: f"missing: {UUID(int=1)}",
    }


@pytest.mark.parametrize("field", ["orders", "decisions", "alerts"])
def test_a_row_too_many_or_twice_is_named(world: World, field: str) -> None:
    evidence = world.evidence()
    entries = list(getattr(evidence, field))
    extra = Entry(UUID(int=99), 1_00, "review")
    more: dict[str, Any] = {field: [*entries, extra, entries[-1]]}
    found = wrong(world, replace(evidence, **more))
    assert len(found) == 1
    text = next(iter(found.values()))
    assert f"not known to the shoppers: {UUID(int=99)}" in text
    assert "more than once" in text


def test_a_cent_is_seen(world: World) -> None:
    evidence = world.evidence()
    first, *rest = evidence.decisions
    wrong_cent = replace(first, amount_minor=first.amount_minor + 1)
    assert wrong(world, replace(evidence, decisions=[wrong_cent, *rest])) == {
        "decisions": f"{UUID(int=1)} is worth 20.01, not 20.00"
    }


def test_another_decision_than_the_one_told_is_seen(world: World) -> None:
    evidence = world.evidence()
    first, *rest = evidence.decisions
    changed = [replace(first, mark="deny"), *rest]
    assert wrong(world, replace(evidence, decisions=changed)) == {
        "decisions": f"{UUID(int=1)} is deny, not approve"
    }


def test_a_notification_twice_missing_or_undelivered_is_seen(world: World) -> None:
    evidence = world.evidence()
    first, *rest = evidence.notices
    assert set(wrong(world, replace(evidence, notices=rest))) == {
        "notifications",
        "e-mails delivered",
    }
    again = Notice(new_id(), first.entry, "delivered")
    assert (
        "more than once"
        in wrong(world, replace(evidence, notices=[*evidence.notices, again]))["notifications"]
    )
    waiting = [replace(first, status="pending"), *rest]
    assert set(wrong(world, replace(evidence, notices=waiting))) == {"e-mails delivered"}


def test_the_notification_of_a_cancellation_is_not_that_of_the_order(world: World) -> None:
    evidence = world.evidence()
    change = next(e for e in evidence.reading.events.values() if e.type == "order.cancelled")
    about = Notice(change.id, Entry(UUID(int=4), 20_00, "order_cancelled"), "delivered")
    assert wrong(world, replace(evidence, notices=[*evidence.notices, about])) == {}


def test_an_event_under_two_positions_and_a_hole_are_seen(world: World) -> None:
    evidence = world.evidence()
    events = dict(evidence.reading.events)
    twice = {**events, Slot(0, 999): events[Slot(0, 100)]}
    text = wrong(world, replace(evidence, reading=Reading(twice)))["order.placed"]
    assert "more than once" in text
    assert "event ids used twice" in text
    del events[Slot(0, 100)]
    found = wrong(world, replace(evidence, reading=Reading(events)))
    assert "1 positions are nowhere" in found["order.placed"]


def test_what_analytics_lost_is_named_by_its_minute(world: World) -> None:
    evidence = world.evidence()
    after = evidence.after
    lost = analytics(world.events[1:], next_pos=100 + len(world.events))
    broken = Analytics(after.since, lost.orders, lost.revenue, after.positions)
    found = wrong(world, replace(evidence, after=broken))
    assert set(found) == {"orders by minute", "revenue", "books", "garden"}
    assert "12:00 UTC approved: off by -1 and -20.00" in found["orders by minute"]
    assert "12:00 UTC books approved: off by -1 and -15.00" in found["revenue"]


def test_money_in_the_wrong_minute_is_seen_although_the_sums_agree(world: World) -> None:
    evidence = world.evidence()
    after = evidence.after
    orders = dict(after.orders)
    pair = orders.pop((START.replace(minute=1), "denied"))
    orders[START.replace(minute=2), "denied"] = pair
    moved = Analytics(after.since, orders, after.revenue, after.positions)
    text = wrong(world, replace(evidence, after=moved))["orders by minute"]
    assert "12:01 UTC denied: off by -1" in text
    assert "12:02 UTC denied: off by +1" in text


def test_events_after_the_second_look_do_not_count(world: World) -> None:
    evidence = world.evidence()
    world.order(70, user=77, ours=False)
    later = world.evidence().reading
    assert wrong(world, replace(evidence, reading=later)) == {}


def test_answers_that_contradict_each_other_are_seen(world: World) -> None:
    ledger = world.ledger
    who = ledger.placed[UUID(int=1)].person
    same = ledger.placed[UUID(int=1)].answer
    ledger.accept("key-1", same, person=who, planted=False, now=1.0)
    assert ledger.repeats == 1
    assert rows(world)["orders accepted"].ok
    other = Accepted(UUID(int=1), same.amount_minor + 1, same.decision, same.by_category)
    ledger.accept("key-1", other, person=who, planted=False, now=1.0)
    row = rows(world)["orders accepted"]
    assert row.faults == (f"order {UUID(int=1)} was answered differently when repeated",)


def test_two_orders_for_one_key_are_seen(world: World) -> None:
    ledger = world.ledger
    first = ledger.placed[UUID(int=1)]
    second = replace(first.answer, id=UUID(int=5))
    ledger.accept("key-1", second, person=first.person, planted=False, now=1.0)
    assert "placed both" in rows(world)["orders accepted"].faults[0]


def test_a_profile_that_never_came_is_named(world: World) -> None:
    evidence = replace(world.evidence(), profiles=frozenset({UUID(int=1)}))
    assert wrong(world, evidence) == {"profiles": f"missing: {UUID(int=2)}"}


def test_positions_that_begin_elsewhere(world: World) -> None:
    """A partition without any event of the run still has its position."""
    evidence = world.evidence()
    before = replace(evidence.before, positions={**evidence.before.positions, 1: Position(7, 3)})
    after = replace(evidence.after, positions={**evidence.after.positions, 1: Position(7, 3)})
    assert wrong(world, replace(evidence, before=before, after=after)) == {}


def test_what_the_broker_lost_comes_from_the_outbox(world: World) -> None:
    evidence = world.evidence()
    events = dict(evidence.reading.events)
    lost = events.pop(Slot(0, 101))
    reading = Reading(events)
    assert reading.missing({0: 100}, {0: 105}) == [Slot(0, 101)]
    reading.refind({Slot(0, 101): encode(lost)})
    refound = replace(evidence, reading=reading)
    assert wrong(world, refound) == {}
    assert "1 events the broker has lost" in rows(world, refound)["order.placed"].note


def test_of_many_ids_the_first_are_named() -> None:
    sentences = named("missing", range(100, 125))
    assert sentences[0] == "missing: 100"
    assert sentences[-1] == "missing: 15 more"
    assert len(sentences) == 11
    assert named("missing", []) == []
