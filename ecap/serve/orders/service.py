"""What an orders replica holds, and the housekeeping it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from ecap import logs
from ecap.config.secrets.keyring.live import open_keyring
from ecap.errors import Retryable
from ecap.serve.orders import stock
from ecap.serve.orders.destinations import Destinations
from ecap.serve.orders.kept import Answers
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
        destinations = Destinations(keys)
        answers = Answers(process.pool, destinations)
        forgetting = _forget(answers, lambda: process.settings.orders.idempotency_ttl_s)
        await stack.enter_async_context(background(forgetting, name="orders-forget"))
        yield Shop(
            Orders(process.pool, destinations, answers),
            answers,
            decider or fraud_shard(process),
            lambda: process.settings,
            items=partial(stock.items, process.pool),
        )


async def _forget(answers: Answers, older_than_s: Callable[[], float]) -> None:
    """Every replica does this; rows another one deletes are skipped."""
    while True:
        await asyncio.sleep(_FORGET_EVERY_S)
        try:
            while await answers.forget(older_than_s=older_than_s(), limit=_FORGET_AT_ONCE):
                pass
        except Retryable as exc:
            _log.warning("old idempotency keys stay for now", extra={"error": exc.detail})
