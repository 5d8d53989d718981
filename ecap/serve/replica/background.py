"""A task that lives as long as its replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from ecap import logs, tasks

_log = logs.get("ecap.background")


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[None]:
    """Runs `work` meanwhile. It is meant never to end: when it does, that is logged."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_ended)
    try:
        yield
    finally:
        await tasks.end(task)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        _log.error("%s has ended", task.get_name(), exc_info=task.exception())
