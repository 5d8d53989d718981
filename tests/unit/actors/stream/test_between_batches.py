"""A change of a pipeline comes between two batches, never within one."""

from __future__ import annotations

import asyncio
from typing import Any

from ecap.actors.stream.runner import Runner
from ecap.config.settings.stream import Stream
from ecap.config.settings.tree import Settings


class Half:
    """A partition whose batch lets others run in its middle, as a long one does."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.seen: list[int] = []
        self.middle = asyncio.Event()
        self.go_on = asyncio.Event()

    async def apply(self, records: Any, batch: Any) -> None:
        self.seen.append(self.pipeline.limit)
        self.middle.set()
        await self.go_on.wait()
        self.seen.append(self.pipeline.limit)


class Pipeline:
    name = "halves"
    topics = ("transactions",)
    limit = 1


async def test_a_batch_sees_one_configuration() -> None:
    pipeline = Pipeline()
    runner = Runner(Settings(), pipeline, pool=None, member="m")  # type: ignore[arg-type]
    owned = Half(pipeline)
    place = ("transactions", 0)
    runner._holdings.owned[place] = owned  # type: ignore[assignment]
    step = asyncio.create_task(runner._step({place: []}))
    await owned.middle.wait()
    change = asyncio.create_task(runner.between_batches(lambda: setattr(pipeline, "limit", 2)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not change.done()
    owned.go_on.set()
    await asyncio.gather(step, change)
    assert owned.seen == [1, 1]
    await runner._step({place: []})
    assert owned.seen == [1, 1, 2, 2]


async def test_a_shorter_lease_ends_sooner_at_once() -> None:
    """The next heartbeat may shorten it without our hearing of it."""
    now = asyncio.get_running_loop().time
    runner = Runner(Settings(), Pipeline(), pool=None, member="m")  # type: ignore[arg-type]
    runner._valid_until_s = now() + 60
    runner.reconfigure(Stream(lease_ttl_s=2.0))
    assert runner._valid_until_s <= now() + 2.0
    runner.reconfigure(Stream(lease_ttl_s=60.0))
    assert runner._valid_until_s <= now() + 2.0
