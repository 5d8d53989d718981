"""Shoppers who order all the while, never give up on an answer, and compare the books after."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from uuid import UUID

from e2e.people import order_body
from e2e.system import System, until

from ecap.demo.books import collection
from ecap.demo.books.books import Books
from ecap.demo.books.collection import Beginning
from ecap.demo.books.reconciliation import reconcile
from ecap.demo.shoppers.door import Answer, FrontDoor, open_door
from ecap.demo.shoppers.latency import Meter
from ecap.demo.shoppers.ledger import Ledger
from ecap.demo.shoppers.people import Person, person
from ecap.demo.shoppers.shelf import Shelf
from ecap.demo.shoppers.shopper import accepted_of
from ecap.errors import Unavailable

_SHOPPERS = 10
_EVERY_S = 0.7
_ANSWERED_S = 180.0
_SETTLED_S = 180.0
_ORDERS = "/api/v1/orders"


@dataclass
class Customer:
    who: Person
    id: UUID
    token: str = field(repr=False)
    orders: int = 0


class Load:
    """`trouble` counts what shoppers met instead of an answer."""

    def __init__(
        self,
        system: System,
        door: FrontDoor,
        books: Books,
        shelf: Shelf,
        beginning: Beginning,
        closing: asyncio.Event,
    ) -> None:
        self._system = system
        self._door = door
        self._books = books
        self._shelf = shelf
        self._beginning = beginning
        self._closing = closing
        self._rng = Random(11)
        self.ledger = Ledger()
        self.trouble: Counter[str] = Counter()

    @property
    def users(self) -> list[UUID]:
        return list(self.ledger.users)

    async def customers(self) -> list[Customer]:
        run = secrets.token_hex(3)
        found = []
        for number in range(_SHOPPERS):
            who = person(number, "honest", self._rng, run=run)
            body = {"email": who.email, "password": "a load of shoppers", "display_name": who.name}
            answer = await self._door.ask("POST", "/api/v1/auth/register", body=body)
            assert answer.status == 201, answer
            id_ = UUID(answer.document["account"]["id"])
            self.ledger.users[id_] = who
            found.append(Customer(who, id_, answer.document["tokens"]["access_token"]))
        return found

    async def shop(self, customer: Customer) -> None:
        while not self._closing.is_set():
            order = await self.order(customer)
            if order is not None and self._rng.random() < 0.15:
                await self._cancel(customer, order)
            await self._door.pause(self._rng.uniform(0.5, 1.5) * _EVERY_S)

    async def order(self, customer: Customer) -> UUID | None:
        """The same key until somebody says what became of it."""
        who, key = customer.who, f"{customer.who.run}-{customer.who.number}-{customer.orders}"
        customer.orders += 1
        basket = self._shelf.usual(self._rng, below_minor=150_00)
        body = order_body(basket, card=who.card, device=who.device)
        answer = await self._answered("POST", _ORDERS, customer, body=body, key=key)
        if answer.status != 201:
            self.ledger.refused[answer.problem] += 1
            assert answer.document.get("products"), f"neither accepted nor sold out: {answer}"
            return None
        accepted = accepted_of(answer.document)
        now = time.monotonic()
        self.ledger.accept(key, accepted, person=who, planted=False, now=now)
        return accepted.id

    async def _cancel(self, customer: Customer, order: UUID) -> None:
        answer = await self._answered("POST", f"{_ORDERS}/{order}/cancel", customer, body={})
        if answer.status == 200:
            self.ledger.cancelled.add(order)
        else:
            assert answer.status == 409, answer  # denied orders stay denied

    async def _answered(
        self, method: str, path: str, customer: Customer, *, body: object, key: str | None = None
    ) -> Answer:
        """What is not the end of it is asked again: no connection, 5xx, 429, still under way."""
        deadline = time.monotonic() + _ANSWERED_S
        while True:
            try:
                answer = await self._door.ask(
                    *(method, path),
                    token=customer.token,
                    body=body,
                    key=key,
                )
            except Unavailable as exc:
                what, pause_s = str(exc), 0.2
            else:
                again = answer.status >= 500 or answer.status == 429
                if not (again or answer.problem == "in-flight"):
                    return answer
                what, pause_s = f"{answer.status} {answer.problem}", answer.retry_after_s
            self.trouble[what] += 1
            assert time.monotonic() < deadline, f"{method} {path} has no answer: {self.trouble}"
            await asyncio.sleep(min(pause_s, 1.0))

    # ---- what tests wait for and compare

    async def more(self, count: int) -> None:
        """So many orders are accepted from now on."""
        goal = len(self.ledger.placed) + count
        await until(
            lambda: len(self.ledger.placed) >= goal,
            within_s=_ANSWERED_S,
            what=f"{count} more orders; trouble: {dict(self.trouble)}",
        )

    async def settle(self) -> None:
        """Every stage has the same orders and the same money, to the cent."""
        settings = self._system.settings
        users = frozenset(self.ledger.users)
        deadline = time.monotonic() + _SETTLED_S
        while True:
            left = await collection.drained(self._books, users, progress=lambda _: None)
            if left.nothing:
                break
            assert time.monotonic() < deadline, f"never done: {left}"
        evidence = await collection.gather(self._books, settings.kafka, users, self._beginning)
        faults = {row.stage: row.faults for row in reconcile(self.ledger, evidence) if not row.ok}
        assert not faults, f"{faults}; trouble: {dict(self.trouble)}"
        assert self.ledger.placed


@asynccontextmanager
async def load(system: System, books: Books, shelf: Shelf) -> AsyncIterator[Load]:
    """Under way when entered, at an end and compared when left."""
    closing = asyncio.Event()
    settings = system.settings
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(
            open_door(system.url, meter=Meter(), closing=asyncio.Event())
        )
        beginning = await collection.begin(books, settings.kafka, now=datetime.now(UTC))
        under_way = Load(system, door, books, shelf, beginning, closing)
        customers = await under_way.customers()
        async with asyncio.TaskGroup() as group:
            for customer in customers:
                group.create_task(under_way.shop(customer), name=customer.who.email)
            try:
                await under_way.more(10)
                yield under_way
            finally:
                closing.set()
        await under_way.settle()


Loading = Callable[[], AbstractAsyncContextManager[Load]]
