"""Who ends a task gets rid of it, and is itself ended when it is told to."""

from __future__ import annotations

import asyncio

import pytest

from ecap import tasks


async def _stubborn(lost: list[str]) -> None:
    """Survives the first cancellation, as work does that a lost connection answers in its place."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if lost:
                raise
            lost.append("once")


async def test_a_lost_cancellation_is_repeated() -> None:
    lost: list[str] = []
    task = asyncio.create_task(_stubborn(lost))
    await asyncio.sleep(0)
    await tasks.end(task)
    assert task.cancelled()
    assert lost == ["once"]


async def test_what_it_raised_is_its_own() -> None:
    async def fragile() -> None:
        raise RuntimeError("a bug")

    async def fine() -> int:
        return 3

    both = asyncio.create_task(fragile()), asyncio.create_task(fine())
    await asyncio.sleep(0)
    await tasks.end(*both)


async def test_who_waits_for_the_end_can_be_ended() -> None:
    """Else a supervisor that is stopped in the wrong moment would go on."""
    lost: list[str] = []
    task = asyncio.create_task(_stubborn(lost))
    await asyncio.sleep(0)
    ending = asyncio.create_task(tasks.end(task))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    task.cancel()
    await asyncio.wait([task])
