"""One run: read the catalog, remember where the books stand, send shoppers, compare."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from ecap.clients.postgres import open_pool
from ecap.config import Settings
from ecap.errors import Misconfigured
from ecap.local.demo import catalog, gathering
from ecap.local.demo.books import Books
from ecap.local.demo.door import open_door
from ecap.local.demo.gathering import Left
from ecap.local.demo.latency import Meter
from ecap.local.demo.ledger import Ledger
from ecap.local.demo.outcome import Outcome
from ecap.local.demo.plan import Wishes, plan
from ecap.local.demo.reconcile import reconcile
from ecap.local.demo.traffic import send
from ecap.local.demo.view import View, view
from ecap.local.demo.watch import Login, Watch
from ecap.pipelines.stream.fraud.pipeline import thresholds


class Screen(Protocol):
    def show(self, now: View) -> None: ...

    def waiting(self, left: Left) -> None: ...


async def run(
    settings: Settings, base_url: str, wishes: Wishes, *, screen: Screen, closing: asyncio.Event
) -> Outcome:
    """`closing` ends the sending early. Raises Unavailable when nothing could be compared."""
    # Apart from all other runs; its people are new, whatever the seed.
    name = secrets.token_hex(3)
    ledger, meter = Ledger(), Meter()
    async with AsyncExitStack() as stack:
        books = Books(await stack.enter_async_context(open_pool(settings.postgres, service="demo")))
        door = await stack.enter_async_context(open_door(base_url, meter=meter, closing=closing))
        # Its requests are no shoppers' and do not count.
        aside = await stack.enter_async_context(
            open_door(base_url, meter=Meter(), closing=asyncio.Event())
        )
        shelf = await catalog.shelf(aside, currency=settings.orders.currency)
        visits = plan(wishes, shelf, run=name, thresholds=thresholds(settings.fraud))
        watch = Watch(aside, _login(settings), ledger.users)
        await watch.log_in()
        beginning = await gathering.begin(books, settings.kafka, now=datetime.now(UTC))
        started = time.monotonic()

        def tick() -> None:
            now = time.monotonic()
            screen.show(
                view(
                    ledger,
                    meter,
                    watch.seen,
                    passed_s=now - started,
                    seconds=wishes.seconds,
                    now=now,
                )
            )

        async with _watching(watch):
            took_s = await send(
                visits,
                door,
                ledger,
                password=secrets.token_urlsafe(18),
                seconds=wishes.seconds,
                closing=closing,
                tick=tick,
            )
            await gathering.drained(books, ledger.users, progress=screen.waiting)
        evidence = await gathering.gather(books, settings.kafka, frozenset(ledger.users), beginning)
    return Outcome(
        run=name,
        wishes=wishes,
        took_s=took_s,
        planned=sum(len(visit.orders) for visit in visits),
        rows=reconcile(ledger, evidence),
        ledger=ledger,
        meter=meter,
        unscored=evidence.unscored,
        limited=door.limited,
    )


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
