"""Background work ends with its replica."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ecap.serve.replica.background import background


async def test_work_runs_meanwhile_and_ends_afterwards() -> None:
    ticks = asyncio.Event()

    async def work() -> None:
        ticks.set()
        await asyncio.Event().wait()

    async with background(work(), name="ticking"):
        await ticks.wait()
        assert "ticking" in {task.get_name() for task in asyncio.all_tasks()}
    assert "ticking" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_lost_cancellation_is_repeated() -> None:
    lost = 0

    async def work() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if lost:
                    raise
                lost += 1

    async with background(work(), name="stubborn"):
        await asyncio.sleep(0)
    assert lost == 1


async def test_work_that_ends_by_itself_is_a_logged_bug(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise RuntimeError("a bug")

    with caplog.at_level(logging.ERROR):
        async with background(work(), name="fragile"):
            await asyncio.sleep(0.01)
    assert "fragile has ended" in caplog.text
    assert "a bug" in caplog.text
