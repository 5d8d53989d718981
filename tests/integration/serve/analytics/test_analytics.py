"""Figures as the stream computed them, and the live stream of their changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from integration.serve.shopping import bearer, product

from ecap.actors.stream.pipeline import Record
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.browsing import ProductViewed
from ecap.domain.events.codec import decode
from ecap.domain.events.envelope import new_event
from ecap.domain.events.orders import Line, OrderCancelled, OrderPlaced
from ecap.domain.values.ids import new_id
from ecap.pipelines.stream.analytics import pipeline as analytics
from ecap.serve.analytics.live import Live
from ecap.serve.analytics.routes import api
from ecap.serve.analytics.service import Room, opened
from ecap.serve.analytics.store import Analytics
from ecap.serve.replica.background import background
from ecap.serve.replica.process import Process

Mint = Callable[..., str]
Replica = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
URL = "/api/v1/analytics"
TEA, POT = new_id(), new_id()


class Clockwork:
    """Events at chosen times, through the pipeline's own step and sink."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self.step = analytics.build(settings)
        self.states: dict[str, Any] = {}
        self.pool = pool
        self.pos = 0

    async def feed(self, *happened: tuple[datetime, Any], topic: str = "transactions") -> None:
        state = self.states.setdefault(topic, self.step.new_state(topic, 0))
        results = []
        for at, payload in happened:
            event = new_event(payload, key="k", producer="tests", now=at)
            results.append(self.step.apply(state, Record(topic, 0, self.pos, event)))
            self.pos += 1
        async with self.pool.transaction() as conn:
            await self.step.write(conn, [result for result in results if result is not None])


@pytest.fixture
async def clockwork(settings: Settings, pool: Pool) -> Clockwork:
    await pool.execute(
        "TRUNCATE analytics.revenue_minute, analytics.orders_minute, analytics.product_hour,"
        " analytics.activity_hour, analytics.late_hour, analytics.products"
    )
    return Clockwork(settings, pool)


@pytest.fixture(scope="module")
async def room(replica: Replica, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    async with replica(api, opened) as client:
        yield client


@pytest.fixture
def analyst(mint: Mint) -> dict[str, str]:
    return bearer(mint("analyst"))


def order(decision: Any, *lines: tuple[UUID, str, int, int]) -> OrderPlaced:
    found = tuple(Line(*line) for line in lines)
    return OrderPlaced(
        order_id=new_id(),
        user_id=new_id(),
        amount_minor=sum(line.quantity * line.unit_price_minor for line in found),
        currency="USD",
        lines=found,
        card="c",
        device_id="d",
        ip="127.0.0.1",
        decision=decision,
        scored=True,
    )


def cancelled(placed: OrderPlaced, at: datetime) -> OrderCancelled:
    return OrderCancelled(
        order_id=placed.order_id,
        user_id=placed.user_id,
        previous="approved",
        amount_minor=placed.amount_minor,
        currency="USD",
        lines=placed.lines,
        placed_at=at,
    )


DAY = datetime(2026, 3, 1, 23, 58, tzinfo=UTC)


async def test_figures_by_minute_hour_and_day(
    room: httpx.AsyncClient, clockwork: Clockwork, analyst: dict[str, str]
) -> None:
    first = order("approve", (TEA, "grocery", 3, 333), (POT, "kitchen", 1, 1))
    second = order("deny", (TEA, "grocery", 1, 333))
    later = DAY + timedelta(minutes=3)
    gone = order("approve", (TEA, "grocery", 2, 333))
    await clockwork.feed((DAY, first), (DAY, second), (later, gone))
    await clockwork.feed((later + timedelta(hours=2), cancelled(gone, later)))

    span = {"start": DAY.isoformat(), "end": (DAY + timedelta(hours=1)).isoformat()}
    minutes = (await room.get(URL + "/revenue", params=span, headers=analyst)).json()
    cells = {
        (cell["at"][:16], cell["category"], cell["outcome"]): (cell["units"], cell["amount"])
        for cell in minutes["items"]
    }
    assert cells == {
        ("2026-03-01T23:58", "grocery", "approved"): (3, "9.99"),
        ("2026-03-01T23:58", "kitchen", "approved"): (1, "0.01"),
        ("2026-03-01T23:58", "grocery", "denied"): (1, "3.33"),
        # Cancelled two hours later, but in the minute in which it was placed.
        ("2026-03-02T00:01", "grocery", "approved"): (0, "0.00"),
        ("2026-03-02T00:01", "grocery", "cancelled"): (2, "6.66"),
    }
    span["bucket"] = "day"
    days = (await room.get(URL + "/orders", params=span, headers=analyst)).json()
    found = {(c["at"][:10], c["outcome"]): (c["orders"], c["amount"]) for c in days["items"]}
    assert found[("2026-03-01", "approved")] == (1, "10.00")
    assert found[("2026-03-02", "cancelled")] == (1, "6.66")
    span |= {"bucket": "hour", "category": "kitchen", "outcome": "approved"}
    only = (await room.get(URL + "/revenue", params=span, headers=analyst)).json()["items"]
    assert [cell["amount"] for cell in only] == ["0.01"]


async def test_top_products_and_the_summary(
    room: httpx.AsyncClient, clockwork: Clockwork, analyst: dict[str, str]
) -> None:
    await clockwork.feed((DAY, product(TEA, name="Tea")), topic="product-updates")
    await clockwork.feed(
        (DAY, order("approve", (TEA, "grocery", 10, 100), (POT, "kitchen", 1, 5000))),
        (DAY, order("review", (TEA, "grocery", 1, 100))),
        (DAY, order("review", (TEA, "grocery", 1, 105))),
        (DAY, order("deny", (POT, "kitchen", 50, 5000))),
    )
    await clockwork.feed(
        *((DAY, ProductViewed(session_id="s", product_id=TEA)) for _ in range(3)),
        topic="user-events",
    )
    span = {"start": DAY.isoformat(), "end": (DAY + timedelta(minutes=1)).isoformat()}
    path = URL + "/products/top"
    top = (await room.get(path, params=span, headers=analyst)).json()["items"]
    assert [(one["product_id"], one["amount"]) for one in top] == [
        (str(POT), "50.00"),
        (str(TEA), "12.05"),
    ]
    units = await room.get(path, params={**span, "by": "units", "limit": 1}, headers=analyst)
    (most,) = units.json()["items"]
    assert (most["name"], most["units"], most["views"]) == ("Tea", 12, 3)
    summary = (await room.get(URL + "/summary", params=span, headers=analyst)).json()
    totals = {one["outcome"]: one for one in summary["outcomes"]}
    assert (totals["approved"]["amount"], totals["approved"]["average"]) == ("60.00", "60.00")
    # 2.05 / 2 = 1.025, rounded half to even.
    assert (totals["in_review"]["orders"], totals["in_review"]["average"]) == (2, "1.02")
    assert (summary["orders"], summary["product_views"]) == (4, 3)
    assert Decimal(summary["amount"]) == sum(Decimal(one["amount"]) for one in totals.values())


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"start": "2026-01-01T00:00:00"}, "start"),
        ({"start": "yesterday"}, "start"),
        ({"start": "0001-01-01T00:00:00+23:59"}, "start"),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "start"),
        ({"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}, "start"),
        ({"bucket": "week"}, "bucket"),
        ({"outcome": "lost"}, "outcome"),
    ],
)
async def test_a_wrong_range_is_named(
    room: httpx.AsyncClient, analyst: dict[str, str], query: dict[str, str], field: str
) -> None:
    answer = await room.get(URL + "/revenue", params=query, headers=analyst)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


async def test_what_clients_report_is_in_the_outbox(
    room: httpx.AsyncClient, pool: Pool, mint: Mint
) -> None:
    user, session = new_id(), new_id().hex
    events = [
        {"type": "product.viewed", "session_id": session, "product_id": str(TEA)},
        {"type": "product.searched", "session_id": session, "query": "tea", "results": 2},
    ]
    headers = bearer(mint("customer", subject=str(user)))
    answer = await room.post(URL + "/events", json={"events": events}, headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    rows = await pool.fetch(
        "SELECT topic, body FROM analytics.outbox WHERE key = $1 ORDER BY seq", session
    )
    assert [row["topic"] for row in rows] == ["user-events"] * 2
    found = [decode(row["body"]) for row in rows]
    assert [event.type for event in found] == ["product.viewed", "product.searched"]
    assert all(event.payload.user_id == user for event in found)  # type: ignore[attr-defined]
    for wrong in ([], [{"type": "order.placed"}], events[:1] * 101):
        refused = await room.post(URL + "/events", json={"events": wrong}, headers=headers)
        assert refused.status_code == 422, refused.text
    assert (await room.post(URL + "/events", json={"events": events})).status_code == 401


class Listener:
    """Reads a live stream event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def block(self) -> dict[str, str]:
        """The fields up to the next blank line; a comment has the name ""."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        raise EOFError

    async def to_the_end(self) -> None:
        while True:
            await self.block()

    async def event(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                fields = await self.block()
                if "data" in fields:
                    data = json.loads(fields["data"])
                    return {"id": int(fields["id"]), "event": fields["event"], **data}


@asynccontextmanager
async def listening(
    client: httpx.AsyncClient, headers: dict[str, str], last: int | None = None
) -> AsyncIterator[Listener]:
    more = {} if last is None else {"last-event-id": str(last)}
    async with client.stream("GET", URL + "/live", headers={**headers, **more}) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream"
        yield Listener(response)


async def test_listeners_hear_the_present_and_then_every_change(
    room: httpx.AsyncClient, clockwork: Clockwork, analyst: dict[str, str]
) -> None:
    now = datetime.now(UTC)
    await clockwork.feed((now, order("approve", (TEA, "grocery", 1, 500))))
    async with (
        listening(room, analyst) as one,
        listening(room, analyst) as other,
    ):
        for listener in (one, other):
            present = [await listener.event() for _ in range(2)]
            assert {event["event"] for event in present} == {"revenue", "orders"}
            assert all(event["amount"] == "5.00" for event in present)
        await clockwork.feed((now, order("approve", (TEA, "grocery", 1, 250))))
        for listener in (one, other):
            changes = [await listener.event() for _ in range(2)]
            revenue = next(event for event in changes if event["event"] == "revenue")
            assert (revenue["category"], revenue["units"], revenue["amount"]) == (
                "grocery",
                2,
                "7.50",
            )
    # Nobody listens: what happens now is heard by whoever resumes.
    await clockwork.feed((now, order("deny", (POT, "kitchen", 1, 100))))
    last = max(event["id"] for event in changes)
    async with listening(room, analyst, last) as again:
        missed = [await again.event() for _ in range(2)]
        assert {event["outcome"] for event in missed} == {"denied"}
        assert min(event["id"] for event in missed) > last


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 20, "9" * 5000, "²"])
async def test_an_id_that_is_none_is_refused(
    room: httpx.AsyncClient, analyst: dict[str, str], last: str
) -> None:
    headers: Any = {**analyst, "last-event-id": last.encode()}
    answer = await room.get(URL + "/live", headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Last-Event-ID")


@asynccontextmanager
async def _small(process: Process) -> AsyncIterator[Room]:
    """Two listeners at most, a heartbeat at once, and two seconds of life."""
    store = Analytics(process.pool)
    live = Live(store, max_listeners=2, life_s=2.0, poll_s=0.02, heartbeat_s=0.05)
    async with background(live.run(), name="live"):
        yield Room(store, live)


async def test_a_replica_takes_only_so_many_and_forgets_who_left(
    replica: Replica, pool: Pool, analyst: dict[str, str]
) -> None:
    async with replica(api, _small) as client:
        async with AsyncExitStack() as stack:
            # Kept: a reader that is collected hangs up.
            listeners = [
                await stack.enter_async_context(listening(client, analyst)) for _ in range(2)
            ]
            for listener in listeners:
                while "" not in await listener.block():
                    pass
            refused = await client.get(URL + "/live", headers=analyst)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        async with asyncio.timeout(5):
            while (await client.head(URL + "/live", headers=analyst)).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        async with listening(client, analyst) as listener:
            with pytest.raises(EOFError):
                await listener.to_the_end()


async def test_whoever_resumes_gets_what_they_missed_first(
    clockwork: Clockwork, pool: Pool
) -> None:
    now = datetime.now(UTC)
    store = Analytics(pool)
    await clockwork.feed((now, order("approve", (TEA, "grocery", 1, 500))))
    last = await store.revision()
    # Old enough that a newcomer would not be told.
    await clockwork.feed(
        (now - timedelta(days=1), order("approve", (TEA, "grocery", 1, 100))),
        (now - timedelta(days=2), order("deny", (POT, "kitchen", 1, 200))),
    )
    # Nothing polls: what comes can only be the backlog.
    live = Live(store, max_listeners=5, life_s=0.0)
    resumed = b"".join([block async for block in live.stream(last, now=now)])
    assert resumed.count(b"event: ") == 4
    assert b"5.00" not in resumed
    fresh = b"".join([block async for block in live.stream(None, now=now)])
    assert fresh.count(b"event: ") == 2
    assert b"5.00" in fresh


async def test_a_listener_that_does_not_read_is_let_go(clockwork: Clockwork, pool: Pool) -> None:
    live = Live(Analytics(pool), max_listeners=5, life_s=60, poll_s=0.001)
    now = datetime.now(UTC)
    slow, quick = live.stream(0, now=now), live.stream(0, now=now)
    async with background(live.run(), name="live"):
        assert await anext(slow) == await anext(quick) == b"retry: 2000\n\n"
        heard, expected = b"", 0
        for cents in range(1, 80):
            await clockwork.feed((now, order("approve", (TEA, "grocery", 1, cents))))
            expected += cents
            amount = b'"amount":"%d.%02d"' % divmod(expected, 100)
            async with asyncio.timeout(5):
                while amount not in heard:
                    heard = await anext(quick)
        # The slow one's queue overflowed: its stream ends instead of lying.
        rest = [block async for block in slow]
        assert amount not in b"".join(rest)
        await quick.aclose()  # type: ignore[attr-defined]


async def test_streams_end_with_their_replica(clockwork: Clockwork, pool: Pool) -> None:
    live = Live(Analytics(pool), max_listeners=5, life_s=60)
    stream = live.stream(0, now=datetime.now(UTC))
    async with background(live.run(), name="live"):
        await anext(stream)
        live.close()
        assert [block async for block in stream] == []
        with pytest.raises(Exception, match="too many live streams"):
            await anext(live.stream(None, now=datetime.now(UTC)))
