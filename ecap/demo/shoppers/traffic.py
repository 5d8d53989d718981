"""All shoppers at once, each a task of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from ecap.demo.shoppers.door import FrontDoor
from ecap.demo.shoppers.ledger import Ledger
from ecap.demo.shoppers.shopper import Shopper
from ecap.demo.shoppers.steps import Visit

# For the last planned steps, which come right at the end.
_GRACE_S = 0.5


async def send(
    visits: Sequence[Visit],
    door: FrontDoor,
    ledger: Ledger,
    *,
    password: str,
    seconds: float,
    closing: asyncio.Event,
    tick: Callable[[], None],
) -> float:
    """Until all visits are over, `seconds` have passed or somebody sets `closing`; every
    order begun is settled. Answers how long shoppers were sending."""
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        clock = group.create_task(_ticking(tick), name="demo-clock")
        closer = group.create_task(_close(closing, seconds + _GRACE_S), name="demo-closer")
        shoppers = [
            group.create_task(
                Shopper(visit, door, ledger, password=password).visit(),
                name=f"shopper-{visit.person.number}",
            )
            for visit in visits
        ]
        if shoppers:
            await asyncio.wait(shoppers)
        took_s = time.monotonic() - started
        closing.set()
        await closer
        clock.cancel()
    return took_s


async def _close(closing: asyncio.Event, after_s: float) -> None:
    try:
        async with asyncio.timeout(after_s):
            await closing.wait()
    except TimeoutError:
        closing.set()


async def _ticking(tick: Callable[[], None]) -> None:
    while True:
        tick()
        await asyncio.sleep(1.0)
