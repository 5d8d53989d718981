"""Signed webhooks.

`X-ECAP-Signature: t=<unix seconds>,v1=<hex>` is HMAC-SHA256 over `<t>.<body>`; a
receiver recomputes it, refuses an old t, and drops an X-ECAP-Delivery it has seen.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable

import aiohttp
import msgspec

from ecap.config.settings.connections.webhook import Webhook
from ecap.errors import Misconfigured, Unavailable
from ecap.pipelines.stream.notifications.claims import Delivery


class WebhookSender:
    def __init__(
        self,
        client: aiohttp.ClientSession,
        settings: Webhook,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises Misconfigured without an address or a key."""
        if settings.url is None or settings.signing_key is None:
            raise Misconfigured("webhook.url and webhook.signing_key are needed")
        self._client = client
        self._url = settings.url
        self._key = settings.signing_key.get_secret_value().encode()
        self._timeout_s = settings.timeout_s
        self._clock = clock

    async def send(self, delivery: Delivery) -> None:
        """Raises Unavailable unless the answer is 2xx: any other may be a mistake that
        the receiver repairs."""
        body = msgspec.json.encode(
            {
                "id": delivery.id,
                "kind": delivery.kind,
                "event_id": delivery.event_id,
                "user_id": delivery.user_id,
                "data": delivery.facts,
            }
        )
        try:
            async with self._client.post(
                self._url,
                data=body,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                allow_redirects=False,
                headers={
                    "Content-Type": "application/json",
                    "X-ECAP-Delivery": str(delivery.id),
                    "X-ECAP-Signature": signature(self._key, body, at=int(self._clock())),
                },
            ) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise Unavailable(f"webhook: {type(exc).__name__}") from exc
        if not 200 <= status < 300:
            raise Unavailable(f"webhook: status {status}")


def signature(key: bytes, body: bytes, *, at: int) -> str:
    digest = hmac.new(key, b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
