from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from unit.actors.virtual_clock import VirtualClock

from ecap.actors.supervisor import Child, Spec, Supervisor, Watch
from ecap.errors import Misconfigured


class Worker:
    def __init__(self, name: str, diary: list[str]) -> None:
        self.name = name
        self.diary = diary
        self.alive = True
        self.hangs = False
        self.trouble: str | None = None
        self.clock: VirtualClock | None = None

    async def health(self) -> Mapping[str, Any]:
        if self.hangs:
            assert self.clock
            await self.clock.sleep(1e9)
        return {"alive": self.alive, "ok": self.trouble is None, "trouble": self.trouble}

    async def stop(self) -> None:
        self.diary.append(f"stop {self.name}")


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.diary: list[str] = []
        self.workers: dict[str, Worker] = {}
        self.failures: dict[str, int] = {}

    def spec(self, name: str, *after: str) -> Spec:
        async def start() -> Child:
            self.diary.append(f"start {name}")
            if self.failures.get(name, 0) > 0:
                self.failures[name] -= 1
                raise OSError("not yet")
            worker = self.workers[name] = Worker(name, self.diary)
            worker.clock = self.clock
            return worker

        return Spec(name, start, after)

    @asynccontextmanager
    async def supervised(self, *specs: Spec) -> AsyncIterator[Supervisor]:
        supervisor = Supervisor(specs, watch=Watch(), clock=self.clock, rng=random.Random(1))
        await supervisor.start()
        try:
            yield supervisor
        finally:
            await supervisor.stop()

    def state(self, supervisor: Supervisor, name: str) -> Callable[[], str]:
        return lambda: str(supervisor.status()[name]["state"])


async def test_starts_in_the_order_of_needs_and_stops_in_reverse() -> None:
    world = World()
    specs = world.spec("shard", "relay"), world.spec("relay", "log"), world.spec("log")
    async with world.supervised(*specs) as supervisor:
        await world.clock.until(lambda: len(world.workers) == 3)
        await supervisor.ready()
    assert world.diary == [
        "start log",
        "start relay",
        "start shard",
        "stop shard",
        "stop relay",
        "stop log",
    ]


async def test_one_that_ended_is_restarted_and_the_others_left_alone() -> None:
    world = World()
    async with world.supervised(world.spec("a"), world.spec("b")) as supervisor:
        await world.clock.until(lambda: len(world.workers) == 2)
        first = world.workers["a"]
        first.alive = False
        await world.clock.until(lambda: world.workers["a"] is not first)
        assert supervisor.status()["a"]["restarts"] == 1
        assert supervisor.status()["b"]["restarts"] == 0


async def test_trouble_alone_is_shown_and_not_cured_by_killing() -> None:
    world = World()
    async with world.supervised(world.spec("a")) as supervisor:
        await world.clock.until(lambda: world.workers)
        world.workers["a"].trouble = "the broker is away"
        await world.clock.forward(300)
        assert supervisor.status()["a"]["trouble"] == "the broker is away"
        assert supervisor.status()["a"]["restarts"] == 0


async def test_one_that_does_not_answer_any_more_is_replaced() -> None:
    world = World()
    async with world.supervised(world.spec("a")):
        await world.clock.until(lambda: world.workers)
        first = world.workers["a"]
        first.hangs = True
        await world.clock.until(lambda: world.workers["a"] is not first)
        # Three answers missed, each after a second's wait and a patience of three.
        assert 12 <= world.clock.now_s <= 14


async def test_pauses_grow_to_a_cap_and_shrink_after_a_stable_time() -> None:
    world = World()
    world.failures["a"] = 10
    starts: list[float] = []
    async with world.supervised(world.spec("a")) as supervisor:
        for count in range(1, 12):
            await world.clock.until(lambda n=count: len(world.diary) >= n)  # type: ignore[misc]
            starts.append(world.clock.now_s)
        pauses = [b - a for a, b in pairwise(starts)]
        assert pauses[0] <= 0.5
        assert 15 <= pauses[-1] <= 30
        await world.clock.forward(120)
        died_s = world.clock.now_s
        first = world.workers["a"]
        first.alive = False
        await world.clock.until(lambda: world.workers["a"] is not first)
        assert world.clock.now_s - died_s <= 2
        assert supervisor.status()["a"]["state"] == "running"


async def test_a_refusal_to_start_is_told_to_who_waits() -> None:
    world = World()

    async def refuse() -> Child:
        raise Misconfigured("smtp.host is not set")

    async with world.supervised(world.spec("a"), Spec("b", refuse)) as supervisor:
        with pytest.raises(Misconfigured, match=r"smtp\.host"):
            await supervisor.ready()


@pytest.mark.parametrize("after", [("b",), ("nobody",)])
def test_needs_nobody_can_meet_are_refused(after: tuple[str, ...]) -> None:
    world = World()
    with pytest.raises(Misconfigured):
        Supervisor([world.spec("a", *after), world.spec("b", "a")])
