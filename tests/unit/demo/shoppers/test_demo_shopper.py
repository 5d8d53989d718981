"""Shoppers in a shop that is one dictionary: every answer a real one can give, on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any
from uuid import UUID

import pytest
from unit.demo.demo_world import shelf, somebody

from ecap.demo.shoppers import shopper
from ecap.demo.shoppers.door import Answer
from ecap.demo.shoppers.ledger import Ledger, caught, troubled
from ecap.demo.shoppers.people import PLACES
from ecap.demo.shoppers.shelf import Wanted
from ecap.demo.shoppers.steps import (
    Action,
    Browse,
    Buy,
    Cancel,
    LogIn,
    Sending,
    Step,
    View,
    Visit,
)
from ecap.domain.values.ids import order_id
from ecap.errors import Unavailable

USER = UUID(int=1)
GOODS = Wanted(shelf().any(Random(1)), 2)


class Shop:
    """`troubles` are what happens to the next orders instead of an answer, or before it."""

    def __init__(self, *troubles: str, registering: Sequence[str] = ()) -> None:
        self.troubles: Iterator[str] = iter(troubles)
        self.registering: Iterator[str] = iter(registering)
        self.registered = False
        self.orders: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.token = "first"
        self.closing = False

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(0)

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        self.asked.append(f"{method} {path}")
        if path.endswith("/register"):
            return self._register()
        if path.endswith("/login"):
            return ok(200, access_token=self.token)
        if method == "GET":
            return ok(200, items=[], id=str(USER))
        if path.endswith("/events"):
            return ok(202)
        if options["token"] != self.token:
            return problem(401, "unauthenticated")
        trouble = next(self.troubles, "")
        if trouble == "lost before":
            raise Unavailable("gone")
        if trouble:
            kept = self._place(options) if trouble == "lost after" else None
            if kept:
                raise Unavailable("gone")
            return problem(*TROUBLES[trouble])
        return self._cancel() if path.endswith("/cancel") else self._place(options)

    def _register(self) -> Answer:
        trouble = next(self.registering, "")
        if trouble == "lost before":
            raise Unavailable("gone")
        if trouble in TROUBLES:
            return problem(*TROUBLES[trouble])
        known, self.registered = self.registered, True
        if trouble == "lost after":
            raise Unavailable("gone")
        if known:
            return problem(409, "conflict")
        return ok(201, account={"id": str(USER)}, tokens={"access_token": "first"})

    def _place(self, options: Mapping[str, Any]) -> Answer:
        body = options["body"]
        order = self.orders.setdefault(
            options["key"],
            {
                "id": str(order_id(USER, options["key"])),
                "amount": body["expected_total"],
                "decision": "deny" if "stolen" in body["payment"]["card_token"] else "approve",
                "lines": [
                    {
                        "category": GOODS.goods.category,
                        "quantity": line["quantity"],
                        "unit_price": f"{GOODS.goods.price_minor / 100:.2f}",
                    }
                    for line in body["lines"]
                ],
            },
        )
        return ok(201, **order)

    def _cancel(self) -> Answer:
        return ok(200)


TROUBLES: Mapping[str, tuple[int, str]] = {
    "in flight": (409, "in-flight"),
    "limited": (429, "rate-limited"),
    "away": (503, "unavailable"),
    "broken": (500, "internal"),
    "conflict": (409, "conflict"),
    "invalid": (422, "invalid"),
}


def ok(status: int, **document: Any) -> Answer:
    return Answer(status, document, 0.0)


def problem(status: int, slug: str) -> Answer:
    return Answer(status, {"type": f"urn:ecap:problem:{slug}"}, 0.0)


def order(
    number: int = 0, *, sending: Sending = "once", card: str = "card", planted: bool = False
) -> Buy:
    return Buy(number, (GOODS,), card, "phone", PLACES[0], sending, 0.01, planted=planted)


async def shop_with(shop: Shop, *actions: Action, kind: Any = "honest") -> Ledger:
    ledger = Ledger()
    visit = Visit(somebody(kind=kind), 0.0, tuple(Step(0.0, action) for action in actions))
    one = shopper.Shopper(visit, shop, ledger, password="secret")  # type: ignore[arg-type]
    await one.visit()
    return ledger


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shopper, "BACKOFF_S", 0.0)


async def test_a_visit_does_its_steps_in_order() -> None:
    shop = Shop()
    ledger = await shop_with(
        shop, Browse("books"), View(GOODS.goods), LogIn(), order(), Cancel(0), order(1)
    )
    assert shop.asked == [
        "POST /api/v1/auth/register",
        "GET /api/v1/catalog/products",
        f"GET /api/v1/catalog/products/{GOODS.goods.id}",
        "POST /api/v1/analytics/events",
        "POST /api/v1/auth/login",
        "POST /api/v1/orders",
        f"POST /api/v1/orders/{order_id(USER, 'run-1-0')}/cancel",
        "POST /api/v1/orders",
    ]
    assert len(ledger.placed) == 2
    assert ledger.cancelled == {order_id(USER, "run-1-0")}
    assert ledger.amounts[order_id(USER, "run-1-0")] == GOODS.amount_minor
    assert ledger.by_category == {GOODS.goods.category: (4, 2 * GOODS.amount_minor)}


@pytest.mark.parametrize("sending", ["again", "twice"])
async def test_repeats_count_once(sending: Sending) -> None:
    ledger = await shop_with(Shop(), order(sending=sending))
    assert (len(ledger.placed), ledger.repeats, ledger.contradictions) == (1, 1, [])


@pytest.mark.parametrize("trouble", ["lost before", "lost after"])
async def test_a_lost_answer_is_asked_for_again(trouble: str) -> None:
    shop = Shop(trouble)
    ledger = await shop_with(shop, order(sending="lost"))
    assert (len(shop.orders), len(ledger.placed), ledger.unsettled) == (1, 1, set())
    assert ledger.waited["answer given up, asked again"] == 1


@pytest.mark.parametrize("trouble", ["in flight", "limited", "away", "broken", "lost before"])
async def test_what_may_succeed_later_is_asked_again(trouble: str) -> None:
    ledger = await shop_with(Shop(trouble, trouble), order())
    assert len(ledger.placed) == 1
    assert sum(ledger.waited.values()) == 2
    assert not ledger.refused


@pytest.mark.parametrize("trouble", ["conflict", "invalid"])
async def test_a_refusal_is_the_last_word(trouble: str) -> None:
    shop = Shop(trouble)
    ledger = await shop_with(shop, order(), Cancel(0))
    assert not ledger.placed
    assert ledger.refused == {f"order: {trouble}": 1}
    assert not any("cancel" in path for path in shop.asked)


@pytest.mark.parametrize("trouble", ["lost before", "lost after", "away"])
async def test_whoever_is_not_heard_registers_again(trouble: str) -> None:
    shop = Shop(registering=[trouble])
    ledger = await shop_with(shop, order())
    assert set(ledger.users) == {USER}
    assert len(ledger.placed) == 1
    assert not ledger.refused


async def test_a_taken_address_is_somebody_else() -> None:
    ledger = await shop_with(Shop(registering=["conflict"]), order())
    assert not ledger.users
    assert ledger.refused == {"register: conflict": 1}


async def test_a_review_that_nobody_scored_is_no_catch() -> None:
    ledger = await shop_with(Shop(), order(0, card="stolen", planted=True), kind="traveller")
    everything = set(ledger.placed)
    assert caught(ledger)["traveller"].people_caught == 1
    assert caught(ledger, unscored=everything)["traveller"].people_caught == 0


async def test_an_expired_token_is_replaced() -> None:
    shop = Shop()
    shop.token = "second"
    assert len((await shop_with(shop, order())).placed) == 1


async def test_what_is_never_answered_is_unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shopper, "_SETTLE_S", 0.01)
    ledger = await shop_with(Shop(*["lost before"] * 100_000), order())
    assert ledger.unsettled == {order_id(USER, "run-1-0")}


async def test_a_cancellation_is_repeated_until_it_is_answered() -> None:
    ledger = await shop_with(Shop("", "lost before", "away"), order(), Cancel(0))
    assert len(ledger.cancelled) == 1


async def test_closing_begins_nothing_new() -> None:
    shop = Shop()
    shop.closing = True
    assert not (await shop_with(shop, order())).placed


async def test_fraud_and_trouble_are_counted_by_person() -> None:
    thief = await shop_with(
        Shop(),
        order(0, planted=True),
        order(1, card="stolen", planted=True),
        kind="card_tester",
    )
    found = caught(thief)["card_tester"]
    assert (found.people, found.people_caught, found.orders, found.orders_caught) == (1, 1, 2, 1)
    honest = troubled(await shop_with(Shop(), order(0), order(1, card="stolen")))
    assert (honest.people_caught, honest.orders_caught, honest.orders) == (1, 1, 2)
