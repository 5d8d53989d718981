from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import clock, run

from ecap.errors import Overloaded
from ecap.mesh.concurrency import ConcurrencyLimit


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_slots_then_a_line_then_shedding() -> None:
    async def main() -> None:
        limit = ConcurrencyLimit(2, max_queue=1)
        await limit.acquire()
        await limit.acquire()
        waiting = asyncio.create_task(limit.acquire(), name="waiting")
        await settle()
        assert (limit.in_flight, limit.queued) == (2, 1)
        with pytest.raises(Overloaded) as caught:
            await limit.acquire()
        assert caught.value.retry_after_s > 0
        assert not limit.try_acquire()
        limit.release(0.1)
        await waiting
        assert (limit.in_flight, limit.queued) == (2, 0)

    run(main())


def test_the_line_is_served_in_order_and_nobody_jumps_it() -> None:
    async def main() -> None:
        limit = ConcurrencyLimit(1, max_queue=5)
        served: list[int] = []

        async def use_it(number: int) -> None:
            await limit.acquire()
            served.append(number)
            await asyncio.sleep(1)
            limit.release(1)

        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(use_it(number), name=f"use-{number}")
            await asyncio.sleep(0.5)
            assert not limit.try_acquire()
        assert served == list(range(5))

    run(main())


def test_who_gives_up_leaves_room_in_the_line() -> None:
    async def main() -> None:
        limit = ConcurrencyLimit(1, max_queue=1)
        await limit.acquire()
        for _ in range(3):
            waiting = asyncio.create_task(limit.acquire(), name="waiting")
            await settle()
            assert limit.queued == 1
            waiting.cancel()
            await settle()
            assert limit.queued == 0

    run(main())


def test_the_advised_wait_is_the_time_to_serve_the_line() -> None:
    async def main() -> None:
        limit = ConcurrencyLimit(4, max_queue=100)
        for _ in range(100):
            await limit.acquire()
            limit.release(2.0)
        for _ in range(4):
            await limit.acquire()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(limit.acquire(), name="w") for _ in range(7)]
            await settle()
            assert limit.retry_after_s == pytest.approx(2.0 * 8 / 4, rel=0.01)
            for task in tasks:
                task.cancel()

    run(main())


def test_a_larger_limit_serves_the_line_at_once_and_a_smaller_one_drains() -> None:
    async def main() -> None:
        limit = ConcurrencyLimit(1, max_queue=5)
        await limit.acquire()
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(limit.acquire(), name="waiting")
            await settle()
            limit.resize(3, max_queue=5)
            await settle()
            assert (limit.in_flight, limit.queued) == (3, 1)
            limit.resize(1, max_queue=0)
            limit.release(0)
            limit.release(0)
            await settle()
            assert (limit.in_flight, limit.queued) == (1, 1)
            limit.release(0)

    run(main())


def test_a_slot_that_comes_with_the_cancellation_is_passed_on() -> None:
    async def main() -> None:
        limit = ConcurrencyLimit(1, max_queue=5)
        await limit.acquire()
        first = asyncio.create_task(limit.acquire(), name="first")
        second = asyncio.create_task(limit.acquire(), name="second")
        await settle()
        limit.release(0)
        first.cancel()
        await second
        assert first.cancelled()
        assert (limit.in_flight, limit.queued) == (1, 0)

    run(main())


def test_a_release_in_the_tick_of_a_cancellation_serves_the_next() -> None:
    async def main() -> None:
        limit = ConcurrencyLimit(1, max_queue=5)
        await limit.acquire()
        first = asyncio.create_task(limit.acquire(), name="first")
        second = asyncio.create_task(limit.acquire(), name="second")
        await settle()
        first.cancel()
        limit.release(0)
        await second
        assert first.cancelled()
        assert (limit.in_flight, limit.queued) == (1, 0)

    run(main())


visits = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=25
)


@settings(max_examples=60)
@given(visits=visits, slots=st.integers(1, 3), line=st.integers(0, 4), later=st.integers(1, 4))
def test_the_limit_holds_whatever_comes_and_goes(
    visits: list[tuple[int, int, int]], slots: int, line: int, later: int
) -> None:
    """Each visit: when it arrives, how long it stays, when it is cancelled."""

    async def main() -> None:
        limit = ConcurrencyLimit(slots, max_queue=line)
        inside = 0

        async def visit(arrives: int, stays: int) -> None:
            nonlocal inside
            await asyncio.sleep(arrives)
            try:
                await limit.acquire()
            except Overloaded:
                assert limit.queued >= line
                return
            inside += 1
            assert inside <= limit.in_flight <= max(slots, later)
            try:
                await asyncio.sleep(stays)
            finally:
                inside -= 1
                limit.release(stays)

        tasks = [
            asyncio.create_task(visit(arrives, stays), name="visit") for arrives, stays, _ in visits
        ]
        started = clock()
        for task, (_, _, cancelled) in sorted(
            zip(tasks, visits, strict=True), key=lambda t: t[1][2]
        ):
            await asyncio.sleep(max(0.0, started + cancelled - clock()))
            if cancelled == 3:
                limit.resize(later, max_queue=line)
            if cancelled < 5:
                task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError)
        assert (limit.in_flight, limit.queued) == (0, 0)

    run(main())
