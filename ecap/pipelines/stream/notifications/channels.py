"""The ways to deliver: `send` returns when the other side has taken it.

Raises Retryable for "not now" and Refused for "never".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import aiohttp

from ecap.config.settings.connections.smtp import Smtp
from ecap.config.settings.connections.webhook import Webhook
from ecap.domain.events.notifications import Channel
from ecap.errors import Misconfigured
from ecap.pipelines.stream.notifications.claims import Delivery
from ecap.pipelines.stream.notifications.mail import Mailer
from ecap.pipelines.stream.notifications.webhook import WebhookSender


class Sender(Protocol):
    async def send(self, delivery: Delivery) -> None: ...


def channels(webhook: Webhook) -> Sequence[Channel]:
    return ("email", "webhook") if webhook.url else ("email",)


class Channels:
    """What can be sent by now. Raises Misconfigured at once rather than when the first
    order comes."""

    def __init__(self, smtp: Smtp, webhook: Webhook) -> None:
        check_smtp(smtp)
        check_webhook(webhook)
        self._mailer = Mailer(smtp)
        self._webhook = webhook
        self._client: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        # The environment may name a proxy on the way out.
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), trust_env=True
        ) as client:
            self._client = client
            try:
                yield
            finally:
                self._client = None
                await self._mailer.close()

    def use_smtp(self, smtp: Smtp) -> None:
        check_smtp(smtp)
        self._mailer.reconfigure(smtp)

    def use_webhook(self, webhook: Webhook) -> None:
        check_webhook(webhook)
        self._webhook = webhook

    def senders(self) -> Mapping[Channel, Sender]:
        senders: dict[Channel, Sender] = {"email": self._mailer}
        if self._client is not None and self._webhook.url:
            senders["webhook"] = WebhookSender(self._client, self._webhook)
        return senders


def check_smtp(smtp: Smtp) -> None:
    if smtp.host is None:
        raise Misconfigured("smtp.host is not set")


def check_webhook(webhook: Webhook) -> None:
    if webhook.url and webhook.signing_key is None:
        raise Misconfigured("webhook.signing_key is needed for webhook.url")
