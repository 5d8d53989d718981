"""Deliveries over real SMTP and HTTP: retried, taken over, logged once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from integration.pipelines.stream.receivers import Hook, Mailbox, events_of, open_mailbox, until
from integration.pipelines.stream.steps import changed, placed, record, registered, run
from pydantic import SecretStr

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.codec import decode
from ecap.domain.events.notifications import NotificationDelivered, NotificationFailed
from ecap.domain.events.orders import OrderCancelled
from ecap.local.state.runtime import Runtime
from ecap.pipelines.stream.notifications.claims import Claims, Finished
from ecap.pipelines.stream.notifications.delivery import DeliveryWorker
from ecap.pipelines.stream.notifications.pipeline import build, workers

KEY = "webhook-secret"
_DELIVERED = "SELECT count(*) FROM notifications.deliveries WHERE status = 'delivered'"
_FAILED = "SELECT count(*) FROM notifications.deliveries WHERE status = 'failed'"


def configured(
    settings: Settings, mailbox: Mailbox, hook: Hook | None = None, **notifications: Any
) -> Settings:
    fast = {"poll_s": 0.02, "backoff_s": 0.02, "backoff_max_s": 0.1} | notifications
    smtp = {"host": "127.0.0.1", "port": mailbox.port, "starttls": False}
    webhook = {"url": hook.url, "signing_key": SecretStr(KEY)} if hook else {}
    return settings.model_copy(
        update={
            "smtp": settings.smtp.model_copy(update=smtp),
            "webhook": settings.webhook.model_copy(update=webhook),
            "notifications": settings.notifications.model_copy(update=fast),
        }
    )


@asynccontextmanager
async def working(settings: Settings, pool: Pool) -> AsyncIterator[DeliveryWorker]:
    (worker,) = workers(settings, pool)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()
        assert not worker.health()["ok"]


async def order(pool: Pool, settings: Settings, *numbers: int, known: bool = True) -> None:
    ana = registered(UUID(int=1), settings, email="ana@example.com", name="Ana")
    records = [record(ana, 0)] if known else []
    records += [record(placed(number, decision="approve"), number) for number in numbers]
    await run(pool, build(settings), None, records)


async def attempts(pool: Pool) -> list[tuple[int, str | None]]:
    rows = await pool.fetch(
        "SELECT attempt, outcome FROM notifications.attempts ORDER BY delivery_id, attempt"
    )
    return [tuple(row) for row in rows]


async def test_an_order_is_written_about_once(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    settings = configured(settings, mailbox)
    await order(pool, settings, 1, 2, 3)
    async with working(settings, pool) as worker:
        await until(pool, _DELIVERED, 3)
        assert worker.health() == {"ok": True, "trouble": None, "sending": 0}
    assert [message["To"] for message in mailbox.messages] == ["Ana <ana@example.com>"] * 3
    ids = {row["id"] for row in await pool.fetch("SELECT id FROM notifications.deliveries")}
    assert {message["X-ECAP-Delivery"] for message in mailbox.messages} == {str(i) for i in ids}
    text = mailbox.messages[0].get_body(("plain",))
    assert text is not None
    assert "20.00 USD" in text.get_content()
    events = [decode(body) for body in await events_of(pool, "notifications")]
    delivered = [e.payload for e in events if isinstance(e.payload, NotificationDelivered)]
    assert len(delivered) == len(events)
    assert {payload.notification_id for payload in delivered} == ids


async def test_the_same_event_again_makes_no_second_delivery(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    settings = configured(settings, mailbox)
    placed_once = record(placed(1, decision="approve"), 0)
    for _ in range(2):
        await run(pool, build(settings), None, [placed_once, placed_once])
    assert await pool.fetchval("SELECT count(*) FROM notifications.deliveries") == 1


async def test_an_odd_reason_is_no_reason_to_stop(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    cancelled = changed(
        OrderCancelled, placed(1), previous="approved", reason="no\x00longer " + "very " * 500
    )
    await run(pool, build(configured(settings, mailbox)), None, [record(cancelled, 0)])
    kind = "SELECT kind FROM notifications.deliveries"
    assert await pool.fetchval(kind) == "order_cancelled"


async def test_a_server_that_fails_and_recovers(
    pool: Pool, settings: Settings, mailbox: Mailbox, hook: Hook
) -> None:
    settings = configured(settings, mailbox, hook)
    mailbox.answers = ["451 later", "452 full"]
    hook.answers = [500, 302, 429]
    await order(pool, settings, 1)
    async with working(settings, pool):
        await until(pool, _DELIVERED, 2)
    assert len(mailbox.messages) == 1
    log = Counter(outcome for _, outcome in await attempts(pool))
    assert log == {"retry": 5, "delivered": 2}

    assert len(hook.requests) == 4
    for headers, body in hook.requests:
        stamp, sent = (part.partition("=")[2] for part in headers["X-ECAP-Signature"].split(","))
        expected = hmac.new(KEY.encode(), stamp.encode() + b"." + body, hashlib.sha256)
        assert hmac.compare_digest(sent, expected.hexdigest())
        assert abs(time.time() - int(stamp)) < 60
    bodies = {body for _, body in hook.requests}
    (body,) = bodies
    told = json.loads(body)
    assert told["kind"] == "order_approved"
    assert told["data"]["amount"] == "20.00"
    assert {headers["X-ECAP-Delivery"] for headers, _ in hook.requests} == {told["id"]}


async def test_after_the_last_attempt_it_has_failed(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    settings = configured(settings, mailbox, max_attempts=3)
    mailbox.answers = ["451 later"] * 10
    await order(pool, settings, 1)
    async with working(settings, pool):
        await until(pool, _FAILED, 1)
    assert await attempts(pool) == [(1, "retry"), (2, "retry"), (3, "failed")]
    (body,) = await events_of(pool, "notifications")
    payload = decode(body).payload
    assert isinstance(payload, NotificationFailed)
    assert payload.attempts == 3
    assert "451" in payload.error


async def test_a_mailbox_that_does_not_exist_is_tried_once(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    settings = configured(settings, mailbox)
    mailbox.refused = {"ana@example.com": "550 no such user"}
    await order(pool, settings, 1)
    async with working(settings, pool):
        await until(pool, _FAILED, 1)
    assert await attempts(pool) == [(1, "failed")]


async def test_an_order_may_come_before_the_registration(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    settings = configured(settings, mailbox)
    await order(pool, settings, 1, known=False)
    async with working(settings, pool):
        await until(pool, "SELECT min(attempts) >= 2 FROM notifications.deliveries", True)
        await order(pool, settings)
        await until(pool, _DELIVERED, 1)


async def test_mail_goes_over_tls_to_a_server_that_is_trusted(
    pool: Pool,
    settings: Settings,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    async with open_mailbox(tls) as mailbox:
        settings = configured(settings, mailbox)
        secure = settings.smtp.model_copy(update={"starttls": True})
        settings = settings.model_copy(update={"smtp": secure})
        await order(pool, settings, 1)
        async with working(settings, pool):
            await until(pool, "SELECT min(attempts) >= 2 FROM notifications.deliveries", True)
            assert mailbox.messages == []
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            await until(pool, _DELIVERED, 1)
        assert mailbox.encrypted == [True]


async def test_mail_is_not_sent_in_clear_when_tls_is_asked_for(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    """As behind somebody who strips the server's offer."""
    settings = configured(settings, mailbox, max_attempts=2)
    secure = settings.smtp.model_copy(update={"starttls": True})
    settings = settings.model_copy(update={"smtp": secure})
    await order(pool, settings, 1)
    async with working(settings, pool):
        await until(pool, _FAILED, 1)
    assert mailbox.messages == []


async def test_the_worker_outlives_a_failure_to_record(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    """The claim runs out, and the delivery is sent and recorded again."""
    settings = configured(settings, mailbox, claim_s=1.0)
    await order(pool, settings, 1)
    await pool.execute("ALTER TABLE notifications.outbox RENAME TO hidden")
    try:
        async with working(settings, pool) as worker:
            async with asyncio.timeout(10):
                while worker.health()["ok"]:  # noqa: ASYNC110  health has no event
                    await asyncio.sleep(0.01)
            await pool.execute("ALTER TABLE notifications.hidden RENAME TO outbox")
            await until(pool, _DELIVERED, 1)
    finally:
        await pool.execute("ALTER TABLE IF EXISTS notifications.hidden RENAME TO outbox")
    assert (await attempts(pool))[-1][1] == "delivered"
    assert len(await events_of(pool, "notifications")) == 1


async def test_connections_are_kept_and_a_lost_one_costs_no_attempt(
    pool: Pool, settings: Settings
) -> None:
    async with open_mailbox() as mailbox:
        settings = configured(settings, mailbox, concurrency=1)
        await order(pool, settings, *range(10))
        async with working(settings, pool):
            await until(pool, _DELIVERED, 10)
            assert len(mailbox.sessions) == 1
            for session in list(mailbox.protocols):
                assert session.transport is not None
                session.transport.close()
            await order(pool, settings, 20)
            await until(pool, _DELIVERED, 11)
    assert set(await attempts(pool)) == {(1, "delivered")}


async def test_a_killed_workers_claim_is_taken_over(
    pool: Pool, settings: Settings, mailbox: Mailbox, servers: Runtime
) -> None:
    settings = configured(settings, mailbox, claim_s=1.0)
    await order(pool, settings, 1)
    mailbox.open.clear()
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("delivery_child.py")),
        env=os.environ
        | dict(servers.environ)
        | {
            "ECAP__SMTP__PORT": str(mailbox.port),
            "ECAP__NOTIFICATIONS__CLAIM_S": "1.0",
        },
        stdout=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            await mailbox.arrived.wait()
    finally:
        child.kill()
        await child.communicate()
    mailbox.open.set()
    async with working(settings, pool):
        await until(pool, _DELIVERED, 1)
    # Nobody knows what became of the first: SMTP gives no more than that.
    assert await attempts(pool) == [(1, None), (2, "delivered")]
    assert len({message["Message-ID"] for message in mailbox.messages}) == 1
    assert len(await events_of(pool, "notifications")) == 1


async def test_a_worker_that_lost_its_claim_records_nothing(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    await order(pool, configured(settings, mailbox), 1)
    slow = Claims(pool, worker="slow", claim_s=0.0)
    quick = Claims(pool, worker="quick", claim_s=30.0)
    (late,) = await slow.claim(10, ["email"])
    (won,) = await quick.claim(10, ["email"])
    assert await quick.claim(10, ["email"]) == []
    assert await slow.finish([Finished(late, "failed", "too late")]) == 0
    assert await quick.finish([Finished(won, "delivered")]) == 1
    assert await quick.finish([Finished(won, "delivered")]) == 0
    assert await slow.finish([Finished(late, "delivered")]) == 0
    assert await attempts(pool) == [(1, None), (2, "delivered")]
    assert len(await events_of(pool, "notifications")) == 1


async def test_many_workers_share_the_work(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    settings = configured(settings, mailbox)
    await order(pool, settings, *range(60))
    async with working(settings, pool), working(settings, pool), working(settings, pool):
        await until(pool, _DELIVERED, 60)
    assert len(mailbox.messages) == 60
    assert set(await attempts(pool)) == {(1, "delivered")}


async def stopped_on_the_way(pool: Pool, settings: Settings, mailbox: Mailbox) -> None:
    """Asked to stop while a delivery is under way and another one waits."""
    await order(pool, settings, 1)
    mailbox.open.clear()
    (worker,) = workers(settings, pool)
    await worker.start()
    async with asyncio.timeout(30):
        await mailbox.arrived.wait()
    stopping = asyncio.create_task(worker.stop())
    await order(pool, settings, 2)
    mailbox.open.set()
    await stopping


async def test_stopping_waits_for_what_is_under_way(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    """Of the other one, what had been claimed already was under way too."""
    await stopped_on_the_way(pool, configured(settings, mailbox), mailbox)
    assert set(await attempts(pool)) == {(1, "delivered")}


async def test_nothing_is_claimed_after_stopping(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    """At its limit, so that no claim is under way when it is asked to stop."""
    await stopped_on_the_way(pool, configured(settings, mailbox, concurrency=1), mailbox)
    assert await attempts(pool) == [(1, "delivered")]
