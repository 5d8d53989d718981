"""What an orders replica holds, and the housekeeping it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from ecap import logs
from ecap.config.secrets.keyring.live import open_keyring
from ecap.errors import Retryable
from ecap.serve.orders.placement import Shop
from ecap.serve.orders.store import Orders
from ecap.serve.replica.background import background
from ecap.serve.replica.process import Process
from ecap.serve.replica.scoring import Decider, fraud_shard

_log = logs.get("ecap.orders")
_FORGET_EVERY_S = 60.0
_FORGET_AT_ONCE = 1000


@asynccontextmanager
async def opened(process: Process, *, decider: Decider | None = None) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        keys = await stack.enter_async_context(open_keyring(process.settings))
        store = Orders(process.pool, keys)
        forgetting = _forget(store, lambda: process.settings.orders.idempotency_ttl_s)
        await stack.enter_async_context(background(forgetting, name="orders-forget"))
        yield Shop(store, decider or fraud_shard(process), lambda: process.settings)


async def _forget(store: Orders, older_than_s: Callable[[], float]) -> None:
    """Every replica does this; rows another one deletes are skipped."""
    while True:
        await asyncio.sleep(_FORGET_EVERY_S)
        try:
            while await store.forget(older_than_s=older_than_s(), limit=_FORGET_AT_ONCE):
                pass
        except Retryable as exc:
            _log.warning("old idempotency keys stay for now", extra={"error": exc.detail})
