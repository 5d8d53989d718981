"""DeliveryWorker: claims what is due, sends it, and records what came of it.

Sending and recording cannot be one step: a worker that dies in between leaves a
claim that runs out, and the delivery is sent again with the same Message-ID and
X-ECAP-Delivery. Any number of workers may run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from ecap import logs, metrics, tasks
from ecap.clients.postgres import Pool
from ecap.config.member.follows import Follow
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.config.secrets.rows import SealedRows
from ecap.config.settings.connections.smtp import Smtp
from ecap.config.settings.connections.webhook import Webhook
from ecap.config.settings.services.notifications import Notifications
from ecap.errors import Misconfigured, Refused, Retryable
from ecap.pipelines.stream.notifications.channels import (
    Channels,
    Sender,
    check_smtp,
    check_webhook,
)
from ecap.pipelines.stream.notifications.claims import Claims, Delivery, Finished

_log = logs.get("ecap.notifications")

Keys = Callable[[], AbstractAsyncContextManager[LiveKeyring]]

# Of a claim; the rest is for recording before another worker may take it.
_SENDING_SHARE = 0.8
_STOP_S = 15.0
_TROUBLE_PAUSE_S = 1.0


class DeliveryWorker:
    def __init__(
        self,
        settings: Notifications,
        pool: Pool,
        channels: Channels,
        keys: Keys,
        *,
        name: str | None = None,
    ) -> None:
        self._settings = settings
        self._channels = channels
        self._keys = keys
        name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._claims = Claims(pool, worker=name, claim_s=settings.claim_s)
        self._rng = random.Random()  # noqa: S311  spreads load, guards nothing
        self._stopping = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._finished: asyncio.Queue[tuple[Finished, asyncio.Future[None]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._trouble: str | None = "not started"

    def follows(self) -> tuple[Follow[Any], ...]:
        return (
            Follow("notifications", Notifications, self.reconfigure),
            Follow("smtp", Smtp, self._channels.use_smtp, check=check_smtp),
            Follow("webhook", Webhook, self._channels.use_webhook, check=check_webhook),
        )

    def reconfigure(self, settings: Notifications) -> None:
        self._settings = settings
        self._claims.reconfigure(claim_s=settings.claim_s)

    async def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="delivery")

    async def stop(self) -> None:
        """Claims nothing more, and waits for what is under way; what does not end in
        time is left to its claim."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_STOP_S)
            await tasks.end(self._task)

    def health(self) -> dict[str, object]:
        running = self._task is not None and not self._task.done()
        return {
            "ok": running and self._trouble is None,
            "trouble": self._trouble,
            "sending": len(self._sending),
        }

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._session()
            except Exception as exc:  # noqa: BLE001  the worker outlives its own bugs
                _log.exception("the delivery worker failed, starting over")
                self._trouble = repr(exc)
                await self._pause(_TROUBLE_PAUSE_S)

    async def _session(self) -> None:
        async with self._keys() as keys, asyncio.TaskGroup() as group, self._channels.opened():
            contacts = SealedRows(keys, table="notifications.contacts")
            recording = group.create_task(self._record(), name="delivery-record")
            while not self._stopping.is_set():
                await self._round(group, contacts)
            if self._sending:
                await asyncio.wait(self._sending)
            # Not earlier: each delivery waits until it is recorded.
            recording.cancel()

    async def _round(self, group: asyncio.TaskGroup, contacts: SealedRows) -> None:
        # One look for the claim and the sending: a channel that is switched off in between would be
        # claimed and have no sender.
        settings, senders = self._settings, self._channels.senders()
        free = max(0, settings.concurrency - len(self._sending))
        within_s = settings.claim_s * _SENDING_SHARE
        try:
            claimed = await self._claims.claim(min(free, settings.batch), list(senders))
        except Retryable as exc:
            self._trouble = str(exc)
            await self._pause(_TROUBLE_PAUSE_S)
            return
        self._trouble = None
        for delivery in claimed:
            task = group.create_task(
                self._deliver(senders[delivery.channel], contacts, delivery, within_s),
                name=f"deliver-{delivery.id}",
            )
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        if len(self._sending) >= settings.concurrency:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
        elif not claimed:
            await self._pause(settings.poll_s)

    async def _deliver(
        self, sender: Sender, contacts: SealedRows, delivery: Delivery, within_s: float
    ) -> None:
        finished = await self._attempt(sender, contacts, delivery, within_s)
        metrics.notifications_sent.labels(delivery.channel, finished.outcome).inc()
        recorded = asyncio.get_running_loop().create_future()
        self._finished.put_nowait((finished, recorded))
        await recorded

    async def _attempt(
        self, sender: Sender, contacts: SealedRows, delivery: Delivery, within_s: float
    ) -> Finished:
        try:
            async with asyncio.timeout(within_s):
                await sender.send(await _addressed(contacts, delivery))
        except Refused as exc:
            return Finished(delivery, "failed", exc.detail)
        except (Retryable, Misconfigured) as exc:  # a key that is missing may be brought back
            return self._later(delivery, exc.detail)
        except TimeoutError:
            return self._later(delivery, "took longer than its claim allows")
        except Exception as exc:  # noqa: BLE001  one delivery must not end the worker
            _log.exception("a delivery failed", extra={"delivery": str(delivery.id)})
            return self._later(delivery, repr(exc)[:300])
        return Finished(delivery, "delivered")

    def _later(self, delivery: Delivery, error: str) -> Finished:
        settings = self._settings
        if delivery.attempt >= settings.max_attempts:
            return Finished(delivery, "failed", error)
        ceiling = min(settings.backoff_max_s, settings.backoff_s * 2.0 ** (delivery.attempt - 1))
        return Finished(delivery, "retry", error, ceiling * self._rng.uniform(0.5, 1.0))

    async def _record(self) -> None:
        """Everything that finished while the last transaction ran goes into the next."""
        while True:
            batch = [await self._finished.get()]
            while not self._finished.empty():
                batch.append(self._finished.get_nowait())
            await self._record_batch([finished for finished, _ in batch])
            for _, recorded in batch:
                # Who sent it may have been cancelled with its session. It is recorded all the same,
                # or it would be sent again.
                if not recorded.done():
                    recorded.set_result(None)

    async def _record_batch(self, finished: list[Finished]) -> None:
        while True:
            try:
                kept = await self._claims.finish(finished)
            except Retryable as exc:
                # Perhaps it did commit: then none has its claim any more, and none is
                # recorded twice.
                self._trouble = str(exc)
                await asyncio.sleep(_TROUBLE_PAUSE_S)
                continue
            if kept < len(finished):
                _log.warning("claims had run out", extra={"deliveries": len(finished) - kept})
            return

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


async def _addressed(contacts: SealedRows, delivery: Delivery) -> Delivery:
    """Raises Misconfigured when no key opens the contact."""
    if delivery.contact is None:
        return delivery
    found = await contacts.open(delivery.user_id, delivery.contact)
    return msgspec.structs.replace(
        delivery, email=found["email"], display_name=found["display_name"]
    )
