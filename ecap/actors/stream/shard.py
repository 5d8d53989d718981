"""Shard: one process that hosts one or more pipelines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from ecap import metrics, tasks
from ecap.actors import event_spans
from ecap.actors.stream.leases import NotOwner
from ecap.actors.stream.pipeline import Pipeline
from ecap.actors.stream.questions import Ask, Elsewhere
from ecap.actors.stream.runner import Runner
from ecap.clients.database import open_database
from ecap.clients.postgres import Pool
from ecap.config.member import follows as following
from ecap.config.member.follows import Follow
from ecap.config.settings.connections.postgres import Postgres
from ecap.config.settings.stream import Stream
from ecap.config.settings.tree import Settings
from ecap.errors import EcapError, Misconfigured, NotFound
from ecap.mesh import CallContext, use

_ANSWER_S = 1.0
_STOP_S = 10.0


class Worker(Protocol):
    """What runs beside a pipeline, such as delivering what it wrote."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def health(self) -> Mapping[str, Any]: ...


Workers = Callable[[Settings, Pool], Sequence[Worker]]


class Shard:
    """`member` is the name other processes know this shard by, and the one on its leases."""

    def __init__(
        self,
        settings: Settings,
        pipelines: Sequence[Pipeline[Any, Any]],
        *,
        member: str,
        workers: Sequence[Workers] = (),
    ) -> None:
        """Raises Misconfigured for leases that would be lost between heartbeats."""
        check_stream(settings.stream)
        self.member = member
        self._settings = settings
        self._pipelines = pipelines
        self._openers = workers
        self._workers: list[Worker] = []
        self._runners: dict[str, Runner] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()
        self._pool: Pool | None = None

    def follows(self) -> list[Follow[Any]]:
        """Of a shard that has started."""
        assert self._pool is not None
        return [
            Follow("postgres", Postgres, self._pool.reconfigure),
            Follow("stream", Stream, self._reconfigure, check=check_stream),
            *(
                replace(line, apply=_between_batches(runner, line.apply))
                for runner in self._runners.values()
                for line in following.follows(runner.pipeline)
            ),
            *(line for worker in self._workers for line in following.follows(worker)),
        ]

    def _reconfigure(self, stream: Stream) -> None:
        # Before the first runner: a change that is refused must not have been made by half.
        check_stream(stream)
        for runner in self._runners.values():
            runner.reconfigure(stream)

    async def start(self) -> None:
        if self._tasks:
            return
        self._pool = pool = await self._stack.enter_async_context(
            open_database(self._settings, service=self.member)
        )
        for pipeline in self._pipelines:
            runner = Runner(self._settings, pipeline, pool=pool, member=self.member)
            self._runners[pipeline.name] = runner
            self._tasks.append(
                asyncio.create_task(runner.run(), name=f"shard-{self.member}-{pipeline.name}")
            )
        for opener in self._openers:
            for worker in opener(self._settings, pool):
                await worker.start()
                self._workers.append(worker)

    async def stop(self) -> None:
        """Commit what is applied, snapshot, and give the partitions back."""
        for runner in self._runners.values():
            runner.stop()
        for worker in self._workers:
            await worker.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_S)
            await tasks.end(*late)
        # The pool last: runners commit, and give their partitions back, to the very end.
        await self._stack.aclose()

    def health(self) -> dict[str, Any]:
        pipelines = {name: runner.status() for name, runner in self._runners.items()}
        alive = bool(self._tasks) and not any(task.done() for task in self._tasks)
        workers = [worker.health() for worker in self._workers]
        return {
            "alive": alive,
            "ok": alive and all(part["ok"] for part in (*pipelines.values(), *workers)),
            "pipelines": pipelines,
            "workers": workers,
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

    async def handle(self, method: str, payload: Any, headers: Mapping[str, str]) -> Any:
        """A call that came through the mesh; `headers` carry deadline, ids and principal."""
        if method != "ask" or not isinstance(payload, Ask):
            raise NotFound(f"a shard has no {method}")
        loop_time = asyncio.get_running_loop().time()
        context = CallContext.from_headers(
            headers, now=loop_time, trusted=True, default_timeout_s=_ANSWER_S
        )
        left_s = context.remaining_s(loop_time) or _ANSWER_S
        with use(context), event_spans.asked(context, payload.pipeline):
            try:
                return await self.ask(
                    payload.pipeline,
                    payload.topic,
                    payload.key,
                    payload.question,
                    now=datetime.now(UTC),
                    timeout_s=left_s,
                )
            except NotOwner:
                return Elsewhere()


def check_stream(stream: Stream) -> None:
    """Raises Misconfigured."""
    if 2 * stream.heartbeat_s > stream.lease_ttl_s:
        raise Misconfigured(
            f"stream.lease_ttl_s ({stream.lease_ttl_s:g}) has to be at least twice"
            f" stream.heartbeat_s ({stream.heartbeat_s:g}), or partitions are lost"
        )


def _between_batches(
    runner: Runner, apply: Callable[[Any], object]
) -> Callable[[Any], Awaitable[None]]:
    return lambda new: runner.between_batches(lambda: apply(new))
