"""The end of a task, for whoever owns it."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_S = 1.0


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancelled and gone. What they raised is theirs, and is not raised here.

    Work that survives errors can lose a cancellation: a lost connection that is given back
    raises in its place, and the work goes on. Told once, it would be waited for for ever, so
    each is told again until it has ended.
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # else it would be told as an error that nobody heard of
