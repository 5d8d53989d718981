"""A member that runs beside the work of its process, and leaves when the process ends well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ecap import logs, tasks
from ecap.config.member.member import Member
from ecap.errors import EcapError, Fenced

_log = logs.get("ecap.config")
# The hub forgets by itself who does not say good-bye.
_LEAVE_S = 1.0


@asynccontextmanager
async def taking_part(member: Member) -> AsyncIterator[None]:
    """Subscribe before: what the hub says at once must find its subscribers."""
    task = asyncio.create_task(member.run(), name=f"config-{member.name}")
    task.add_done_callback(_ended)
    try:
        yield
    finally:
        # Told until it has ended: a subscriber that is under way may swallow a cancellation.
        await tasks.end(task)
        # Good-bye comes last. A report after it would make the member known again, and rounds would
        # wait for it until it is stale.
        try:
            async with asyncio.timeout(_LEAVE_S):
                await member.leave()
        except (EcapError, TimeoutError) as exc:
            _log.info("left without good-bye", extra={"reason": str(exc)})


def _ended(task: asyncio.Task[None]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if isinstance(error, Fenced):
        _log.warning("takes part no longer", extra={"reason": error.detail})
    else:
        _log.error("%s has ended", task.get_name(), exc_info=error)
