"""One run: read the catalog, remember where the books stand, send shoppers, compare."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from ecap.clients.database import open_database
from ecap.config import Settings
from ecap.demo.books import collection
from ecap.demo.books.books import Books
from ecap.demo.books.collection import Left
from ecap.demo.books.reconciliation import reconcile
from ecap.demo.shoppers import catalog
from ecap.demo.shoppers.door import FrontDoor, open_door
from ecap.demo.shoppers.latency import Meter
from ecap.demo.shoppers.ledger import Ledger
from ecap.demo.shoppers.plan import Wishes, plan
from ecap.demo.shoppers.traffic import send
from ecap.demo.show.outcome import Outcome
from ecap.demo.show.view import View, view
from ecap.demo.show.watch import Login, Watch
from ecap.errors import Misconfigured
from ecap.pipelines.stream.fraud.thresholds import thresholds


class Screen(Protocol):
    def show(self, now: View) -> None: ...

    def waiting(self, left: Left) -> None: ...


@dataclass(frozen=True)
class _Parts:
    """`door` is the shoppers'; what is asked `aside` is not measured."""

    books: Books
    door: FrontDoor
    aside: FrontDoor
    watch: Watch
    ledger: Ledger
    meter: Meter


async def run(
    settings: Settings, base_url: str, wishes: Wishes, *, screen: Screen, closing: asyncio.Event
) -> Outcome:
    """`closing` ends the sending early. Raises Unavailable when nothing could be compared."""
    # Apart from all other runs; its people are new, whatever the seed.
    name = secrets.token_hex(3)
    async with _opened(settings, base_url, closing) as parts:
        shelf = await catalog.shelf(parts.aside, currency=settings.orders.currency)
        visits = plan(wishes, shelf, run=name, thresholds=thresholds(settings.fraud))
        await parts.watch.log_in()
        beginning = await collection.begin(parts.books, settings.kafka, now=datetime.now(UTC))
        users = parts.ledger.users
        async with _watching(parts.watch):
            took_s = await send(
                visits,
                parts.door,
                parts.ledger,
                password=secrets.token_urlsafe(18),
                seconds=wishes.seconds,
                closing=closing,
                tick=_ticker(parts, wishes, screen),
            )
            await collection.drained(parts.books, users, progress=screen.waiting)
        evidence = await collection.gather(parts.books, settings.kafka, frozenset(users), beginning)
    return Outcome(
        run=name,
        wishes=wishes,
        took_s=took_s,
        planned=sum(len(visit.orders) for visit in visits),
        rows=reconcile(parts.ledger, evidence),
        ledger=parts.ledger,
        meter=parts.meter,
        unscored=evidence.unscored,
        limited=parts.door.limited,
    )


@asynccontextmanager
async def _opened(
    settings: Settings, base_url: str, closing: asyncio.Event
) -> AsyncIterator[_Parts]:
    ledger, meter = Ledger(), Meter()
    async with (
        open_database(settings, service="demo") as pool,
        open_door(base_url, meter=meter, closing=closing) as door,
        open_door(base_url, meter=Meter(), closing=asyncio.Event()) as aside,
    ):
        watch = Watch(aside, _login(settings), ledger.users)
        yield _Parts(Books(pool), door, aside, watch, ledger, meter)


def _ticker(parts: _Parts, wishes: Wishes, screen: Screen) -> Callable[[], None]:
    started = time.monotonic()

    def tick() -> None:
        now = time.monotonic()
        screen.show(
            view(
                parts.ledger,
                parts.meter,
                parts.watch.seen,
                passed_s=now - started,
                seconds=wishes.seconds,
                now=now,
            )
        )

    return tick


def _login(settings: Settings) -> Login:
    auth, token = settings.auth, settings.http.metrics_token
    if auth.admin_email is None or auth.admin_password is None or token is None:
        raise Misconfigured(
            "auth.admin_email, auth.admin_password and http.metrics_token are needed"
        )
    return Login(auth.admin_email, auth.admin_password.get_secret_value(), token.get_secret_value())


@asynccontextmanager
async def _watching(watch: Watch) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.run(), name="demo-watch")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
