"""Values that are kept for a while."""

from __future__ import annotations

import asyncio

import pytest

from ecap.serve.gateway.pages.fresh import Fresh


class Made:
    def __init__(self) -> None:
        self.times = 0
        self.now = 0.0
        self.error: Exception | None = None

    async def make(self) -> tuple[int, float]:
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        self.times += 1
        return self.times, 10.0


async def test_is_made_once_for_all_who_ask() -> None:
    made = Made()
    fresh = Fresh(made.make, clock=lambda: made.now)
    assert await asyncio.gather(*(fresh.get() for _ in range(5))) == [1] * 5
    made.now = 9.9
    assert await fresh.get() == 1
    made.now = 10.0
    assert await fresh.get() == 2


async def test_a_failure_is_not_kept() -> None:
    made = Made()
    fresh = Fresh(made.make, clock=lambda: made.now)
    made.error = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        await fresh.get()
    made.error = None
    assert await fresh.get() == 1
