"""A delivery worker in a process of its own, to be killed. Prints "started"."""

from __future__ import annotations

import asyncio

from ecap.clients.postgres import open_pool
from ecap.config import load
from ecap.pipelines.stream.notifications.pipeline import workers


async def main() -> None:
    settings = load()
    async with open_pool(settings.postgres, service="child") as pool:
        for worker in workers(settings, pool):
            await worker.start()
        print("started", flush=True)
        await asyncio.Event().wait()


asyncio.run(main())
