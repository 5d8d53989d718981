"""Mail servers, receivers and keys that change while deliveries are made."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any

import pytest
from integration.pipelines.stream.receivers import Hook, Mailbox, open_mailbox, until
from integration.pipelines.stream.test_delivery import KEY, attempts, configured, order, working
from pydantic import SecretStr

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.errors import Misconfigured
from ecap.pipelines.stream.notifications.delivery import DeliveryWorker

_DELIVERED = "SELECT count(*) FROM notifications.deliveries WHERE status = 'delivered'"


def tell(worker: DeliveryWorker, prefix: str, new: Any) -> None:
    """As the member of the process does."""
    (line,) = (line for line in worker.follows() if line.prefix == prefix)
    if line.check is not None:
        line.check(new)
    line.apply(new)


def signed_with(hook: Hook, at: int, key: str) -> bool:
    headers, body = hook.requests[at]
    told = dict(part.split("=", 1) for part in headers["X-ECAP-Signature"].split(","))
    mac = hmac.new(key.encode(), f"{told['t']}.".encode() + body, hashlib.sha256)
    return mac.hexdigest() == told["v1"]


async def test_another_mail_server_takes_over(pool: Pool, settings: Settings) -> None:
    async with open_mailbox() as old, open_mailbox() as new:
        first, second = configured(settings, old), configured(settings, new)
        await order(pool, first, 1)
        async with working(first, pool) as worker:
            await until(pool, _DELIVERED, 1)
            old.open.clear()
            old.arrived.clear()
            await order(pool, first, 2)
            async with asyncio.timeout(10):
                await old.arrived.wait()
            tell(worker, "smtp", second.smtp)  # one mail is under way the old way
            old.open.set()
            await until(pool, _DELIVERED, 2)
            await order(pool, first, 3, 4)
            await until(pool, _DELIVERED, 4)
    assert (len(old.messages), len(new.messages)) == (2, 2)
    assert set(await attempts(pool)) == {(1, "delivered")}


async def test_a_new_key_signs_from_then_on(
    pool: Pool, settings: Settings, mailbox: Mailbox, hook: Hook
) -> None:
    settings = configured(settings, mailbox, hook)
    await order(pool, settings, 1)
    async with working(settings, pool) as worker:
        await until(pool, _DELIVERED, 2)
        changed = {"signing_key": SecretStr("another")}
        tell(worker, "webhook", settings.webhook.model_copy(update=changed))
        await order(pool, settings, 2)
        await until(pool, _DELIVERED, 4)
    assert signed_with(hook, 0, KEY)
    assert signed_with(hook, 1, "another")


async def test_a_receiver_comes_and_goes(
    pool: Pool, settings: Settings, mailbox: Mailbox, hook: Hook
) -> None:
    with_hook, without = configured(settings, mailbox, hook), configured(settings, mailbox)
    async with working(without, pool) as worker:
        await order(pool, with_hook, 1)  # the pipeline knows of it already
        await until(pool, _DELIVERED, 1)
        assert hook.requests == []
        tell(worker, "webhook", with_hook.webhook)
        await until(pool, _DELIVERED, 2)
        tell(worker, "webhook", without.webhook)
        await order(pool, with_hook, 2)
        await until(pool, _DELIVERED, 3)
    assert len(hook.requests) == 1


async def test_what_cannot_deliver_is_refused(
    pool: Pool, settings: Settings, mailbox: Mailbox, hook: Hook
) -> None:
    settings = configured(settings, mailbox)
    async with working(settings, pool) as worker:
        unsigned = settings.webhook.model_copy(update={"url": hook.url, "signing_key": None})
        with pytest.raises(Misconfigured, match=r"webhook\.signing_key"):
            tell(worker, "webhook", unsigned)
        nowhere = settings.smtp.model_copy(update={"host": None})
        with pytest.raises(Misconfigured, match=r"smtp\.host"):
            tell(worker, "smtp", nowhere)


async def test_more_at_once_and_fewer_attempts(
    pool: Pool, settings: Settings, mailbox: Mailbox
) -> None:
    settings = configured(settings, mailbox, concurrency=1)
    mailbox.open.clear()
    await order(pool, settings, *range(6))
    async with working(settings, pool) as worker:
        await _sending(worker, 1)
        more = settings.notifications.model_copy(update={"concurrency": 4, "max_attempts": 1})
        tell(worker, "notifications", more)
        mailbox.answers = ["451 later"]
        mailbox.open.set()
        mailbox.arrived.clear()
        await until(pool, _DELIVERED, 5)
        failed = "SELECT count(*) FROM notifications.deliveries WHERE status = 'failed'"
        await until(pool, failed, 1)


async def _sending(worker: DeliveryWorker, wanted: int) -> None:
    async with asyncio.timeout(10):
        while worker.health()["sending"] != wanted:  # noqa: ASYNC110  health has no event
            await asyncio.sleep(0.01)
