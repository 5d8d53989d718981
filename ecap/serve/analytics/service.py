"""What an analytics replica holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ecap.config.member.follows import Follow
from ecap.serve.analytics.live import Live
from ecap.serve.analytics.store import Analytics
from ecap.serve.replica.background import background
from ecap.serve.replica.process import Process


@dataclass(frozen=True)
class Room:
    store: Analytics
    live: Live


@asynccontextmanager
async def opened(process: Process) -> AsyncIterator[Room]:
    store = Analytics(process.pool)
    live = Live(
        store,
        # A stream takes one of the replica's requests; half of them stay free for others.
        max_listeners=process.settings.services.analytics.max_ongoing_requests // 2,
        life_s=process.settings.auth.access_ttl_s,
    )
    life = Follow("auth.access_ttl_s", int, lambda new: live.reconfigure(life_s=new))
    process.follows.append(life)
    async with background(live.run(), name="analytics-live"):
        try:
            yield Room(store, live)
        finally:
            live.close()
