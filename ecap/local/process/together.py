"""Several things at once, failing with the first reason instead of a group of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from ecap.errors import EcapError


async def together(work: dict[str, Coroutine[Any, Any, Any]]) -> list[Any]:
    """Results in order. The first error of ours cancels the rest and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one, name=name) for name, one in work.items()]
    except* EcapError as failed:
        # The others were cancelled because of the first; it tells the story.
        first = failed.exceptions[0]
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]
