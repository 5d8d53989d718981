"""The ways to deliver: `send` returns when the other side has taken it.

Raises Retryable for "not now" and Refused for "never".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol

from ecap.config.settings import Settings
from ecap.errors import Misconfigured
from ecap.pipelines.stream.notifications.claims import Delivery
from ecap.pipelines.stream.notifications.mail import Mailer
from ecap.pipelines.stream.notifications.webhook import open_webhook


class Sender(Protocol):
    async def send(self, delivery: Delivery) -> None: ...


Senders = Mapping[str, Sender]
Opener = Callable[[], AbstractAsyncContextManager[Senders]]


def opener(settings: Settings) -> Opener:
    """Raises Misconfigured now rather than when the first order comes."""
    if settings.smtp.host is None:
        raise Misconfigured("smtp.host is not set")
    if settings.webhook.url and settings.webhook.signing_key is None:
        raise Misconfigured("webhook.signing_key is needed for webhook.url")

    @asynccontextmanager
    async def open_senders() -> AsyncIterator[Senders]:
        async with AsyncExitStack() as stack:
            mailer = Mailer(settings.smtp)
            stack.push_async_callback(mailer.close)
            senders: dict[str, Sender] = {"email": mailer}
            if settings.webhook.url:
                senders["webhook"] = await stack.enter_async_context(open_webhook(settings.webhook))
            yield senders

    return open_senders
