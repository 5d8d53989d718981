"""One person in the shop: does the steps of the visit, one after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from ecap.demo.shoppers.account import BACKOFF_S, Account
from ecap.demo.shoppers.door import Answer, FrontDoor
from ecap.demo.shoppers.ledger import Accepted, Ledger
from ecap.demo.shoppers.shelf import total_minor
from ecap.demo.shoppers.steps import Action, Browse, Buy, Cancel, LogIn, Search, View, Visit
from ecap.domain.values.ids import order_id
from ecap.domain.values.money import to_decimal, to_minor
from ecap.errors import Unavailable

_CATALOG = "/api/v1/catalog/products"
_ORDERS = "/api/v1/orders"
_EVENTS = "/api/v1/analytics/events"
_SETTLE_S = 30.0


class Shopper:
    def __init__(self, visit: Visit, door: FrontDoor, ledger: Ledger, *, password: str) -> None:
        self._visit = visit
        self._person = visit.person
        self._door = door
        self._ledger = ledger
        self._account = Account(visit.person, door, ledger, password=password)
        self._ids: dict[int, UUID] = {}

    async def visit(self) -> None:
        """Until all is done or the run is closing; what was begun is still settled."""
        started = time.monotonic()
        await self._door.pause(self._visit.arrives_s)
        if not await self._account.register():
            return
        # Who has to wait for an answer is late from then on, and keeps the distances.
        late_s = 0.0
        for step in self._visit.steps:
            wait_s = step.at_s + late_s - (time.monotonic() - started)
            late_s += max(0.0, -wait_s)
            await self._door.pause(wait_s)
            if self._door.closing:
                return
            await self._do(step.action)

    async def _do(self, action: Action) -> None:
        match action:
            case Browse(category):
                await self._look(_CATALOG, {"category": category})
            case Search(words):
                found = await self._look(_CATALOG, {"q": words})
                if found is not None:
                    results = len(found.document["items"])
                    await self._tell("product.searched", query=words, results=results)
            case View(goods):
                if await self._look(f"{_CATALOG}/{goods.id}") is not None:
                    await self._tell("product.viewed", product_id=goods.id)
            case LogIn():
                await self._account.log_in()
            case Buy():
                await self._order(action)
            case Cancel(number):
                await self._cancel(number)

    async def _look(self, path: str, params: Mapping[str, str] | None = None) -> Answer | None:
        return self._good(await self._account.ask("GET", path, params=params), "browsing")

    async def _tell(self, kind: str, **facts: Any) -> None:
        """What the shop's page reports of its visitor."""
        session = f"{self._person.run}-{self._person.number}"
        event = {"type": kind, "session_id": session, **facts}
        self._good(
            await self._account.ask(
                "POST", _EVENTS, token=self._account.token, body={"events": [event]}
            ),
            "events",
        )

    def _good(self, answer: Answer | None, what: str) -> Answer | None:
        if answer is not None and answer.status >= 400:
            self._ledger.refused[f"{what}: {answer.problem}"] += 1
            return None
        return answer

    # ---- orders

    async def _order(self, order: Buy) -> None:
        self._ledger.sent += 1
        key = f"{self._person.run}-{self._person.number}-{order.number}"
        match order.sending:
            case "twice":
                await asyncio.gather(self._settle(order, key), self._settle(order, key))
            case "again":
                await self._settle(order, key)
                await self._settle(order, key)
            case "lost":
                try:
                    answer = await self._send(order, key, timeout_s=order.patience_s)
                    self._judge(answer, order, key)
                except Unavailable:
                    self._ledger.waited["answer given up, asked again"] += 1
                await self._settle(order, key)
            case "once":
                await self._settle(order, key)

    async def _settle(self, order: Buy, key: str) -> None:
        """Ask with the same key until there is an answer that will not change."""
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline:
            try:
                answer = await self._send(order, key)
            except Unavailable:
                self._ledger.waited["no answer"] += 1
                await asyncio.sleep(BACKOFF_S)
                continue
            if answer.status == 401:
                await self._account.log_in()
            elif self._judge(answer, order, key):
                return
            await asyncio.sleep(answer.retry_after_s)
        assert self._account.user is not None
        self._ledger.unsettled.add(order_id(self._account.user, key))

    async def _send(self, order: Buy, key: str, *, timeout_s: float = 10.0) -> Answer:
        """Raises Unavailable."""
        return await self._door.ask(
            "POST",
            _ORDERS,
            token=self._account.token,
            key=key,
            timeout_s=timeout_s,
            body={
                "lines": [
                    {"product_id": wanted.goods.id, "quantity": wanted.quantity}
                    for wanted in order.basket
                ],
                "payment": {"card_token": order.card},
                "device": {
                    "id": order.device,
                    "latitude": order.place.latitude,
                    "longitude": order.place.longitude,
                },
                "shipping": {
                    "recipient": self._person.name,
                    "line1": f"{self._person.number + 1} High Street",
                    "city": self._person.home.city,
                    "postal_code": f"{10000 + self._person.number}",
                    "country": self._person.home.country,
                },
                "expected_total": str(to_decimal(total_minor(order.basket))),
            },
        )

    def _judge(self, answer: Answer, order: Buy, key: str) -> bool:
        """Whether this answer is the last word."""
        if answer.status == 201:
            accepted = accepted_of(answer.document)
            self._ids[order.number] = accepted.id
            self._ledger.accept(
                key,
                accepted,
                person=self._person,
                planted=order.planted,
                now=time.monotonic(),
            )
            return True
        if answer.status >= 500 or answer.status == 429 or answer.problem == "in-flight":
            self._ledger.waited[answer.problem] += 1
            return False
        self._ledger.refused[_reason(answer)] += 1
        return True

    async def _cancel(self, number: int) -> None:
        """Asked until it is answered: cancelling twice is cancelling once."""
        order = self._ids.get(number)
        deadline = time.monotonic() + _SETTLE_S
        while order is not None and time.monotonic() < deadline:
            answer = await self._account.ask(
                "POST",
                f"{_ORDERS}/{order}/cancel",
                token=self._account.token,
                body={"reason": "changed my mind"},
            )
            if answer is not None and answer.status == 200:
                self._ledger.cancelled.add(order)
                return
            if answer is not None and answer.status < 500 and answer.status != 429:
                self._ledger.refused[f"cancel: {answer.problem}"] += 1
                return
            await asyncio.sleep(BACKOFF_S)


def accepted_of(document: Mapping[str, Any]) -> Accepted:
    by_category: dict[str, tuple[int, int]] = {}
    for line in document["lines"]:
        units, amount = by_category.get(line["category"], (0, 0))
        quantity = line["quantity"]
        by_category[line["category"]] = (
            units + quantity,
            amount + quantity * to_minor(Decimal(line["unit_price"])),
        )
    return Accepted(
        UUID(document["id"]),
        to_minor(Decimal(document["amount"])),
        document["decision"],
        by_category,
    )


def _reason(answer: Answer) -> str:
    if answer.status == 409 and "products" in answer.document:
        return "out of stock"
    if answer.status == 409 and "total" in answer.document:
        return "price changed"
    return f"order: {answer.problem}"
