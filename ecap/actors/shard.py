"""Shard: one process that hosts one or more pipelines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

from ecap import metrics
from ecap.actors.pipeline import Pipeline
from ecap.actors.runner import Runner
from ecap.clients.postgres import open_pool
from ecap.config.settings import Settings
from ecap.errors import EcapError, NotFound


class Shard:
    """`member` is the name other processes know this shard by, and the one on its leases."""

    def __init__(
        self, settings: Settings, pipelines: Sequence[Pipeline[Any, Any]], *, member: str
    ) -> None:
        self.member = member
        self._settings = settings
        self._pipelines = pipelines
        self._runners: dict[str, Runner] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        if self._tasks:
            return
        pool = await self._stack.enter_async_context(
            open_pool(self._settings.postgres, service=self.member)
        )
        for pipeline in self._pipelines:
            runner = Runner(self._settings, pipeline, pool=pool, member=self.member)
            self._runners[pipeline.name] = runner
            self._tasks.append(
                asyncio.create_task(runner.run(), name=f"shard-{self.member}-{pipeline.name}")
            )

    async def stop(self) -> None:
        """Commit what is applied, snapshot, and give the partitions back."""
        for runner in self._runners.values():
            runner.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._stack.aclose()

    def health(self) -> dict[str, Any]:
        pipelines = {name: runner.status() for name, runner in self._runners.items()}
        running = bool(self._tasks) and not any(task.done() for task in self._tasks)
        return {
            "ok": running and all(status["ok"] for status in pipelines.values()),
            "pipelines": pipelines,
        }

    async def ask(
        self,
        pipeline: str,
        topic: str,
        key: str,
        question: Any,
        *,
        now: datetime,
        timeout_s: float = 1.0,
    ) -> Any:
        """Raises NotOwner when the key's partition is somebody else's."""
        runner = self._runners.get(pipeline)
        if runner is None:
            raise NotFound(f"{self.member} does not host {pipeline}")
        try:
            answer = await runner.ask(topic, key, question, now=now, timeout_s=timeout_s)
        except EcapError as exc:
            metrics.stream_questions.labels(pipeline, exc.slug).inc()
            raise
        metrics.stream_questions.labels(pipeline, "ok").inc()
        return answer
