"""Whether the front door answers, for who looks at `ecap up`: Serve starts it again by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp

_LOOK_EVERY_S = 0.5
# Longer than a busy machine keeps HAProxy waiting.
_PATIENCE_S = 5.0


async def watched(url: str, *, note: Callable[[str], None]) -> None:
    """Says when it is away and when it is back. Never ends by itself."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=_PATIENCE_S),
        connector=aiohttp.TCPConnector(force_close=True),
    ) as client:
        while True:
            why = await _away(client, url)
            if why is not None:
                since = time.monotonic()
                note(f"the front door is away: {why}")
                while await _away(client, url) is not None:  # noqa: ASYNC110  nothing tells
                    await asyncio.sleep(_LOOK_EVERY_S)
                note(f"the front door is back after {time.monotonic() - since:.1f} s")
            await asyncio.sleep(_LOOK_EVERY_S)


async def _away(client: aiohttp.ClientSession, url: str) -> str | None:
    """HAProxy answers itself what it routes: 503 until it has been told of services."""
    try:
        async with client.get(f"{url}/-/routes") as answer:
            return None if answer.status == 200 else f"it answers {answer.status}"
    except aiohttp.ClientConnectorError:
        return "it refuses connections; Ray Serve starts it again"
    except (aiohttp.ClientError, TimeoutError) as exc:
        return str(exc) or f"no answer within {_PATIENCE_S:.0f} s"
