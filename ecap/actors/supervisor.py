"""Starts actors in the order of their needs, watches them, restarts them, stops them.

One task a child. An actor in trouble (its broker is away) is left alone: it heals
by itself and says so. One that is dead, or answers nothing any more, is replaced.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ecap import logs, metrics, tasks
from ecap.actors.backoff import Backoff
from ecap.actors.clock import Clock, SystemClock
from ecap.errors import Fatal, Misconfigured

_log = logs.get("ecap.supervisor")

# The name it goes by.
SUPERVISOR = "supervisor"


class Child(Protocol):
    async def health(self) -> Mapping[str, Any]:
        """`alive`: false asks for a replacement. `ok`: false is only shown."""
        ...

    async def stop(self) -> None: ...


@dataclass(frozen=True)
class Spec:
    """`start` answers when the child is ready to be used. It may adopt a running one."""

    name: str
    start: Callable[[], Awaitable[Child]]
    after: tuple[str, ...] = ()


@dataclass
class _Kept:
    spec: Spec
    started: asyncio.Event
    decided: asyncio.Event
    refused: Fatal | None = None
    child: Child | None = None
    state: str = "waiting"
    restarts: int = 0
    misses: int = 0
    trouble: str | None = None
    health: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Watch:
    """`stable_s`: after that long without a fault the back-off begins anew."""

    every_s: float = 1.0
    answer_s: float = 3.0
    misses: int = 3
    start_s: float = 60.0
    stop_s: float = 15.0
    first_backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    stable_s: float = 60.0


class Supervisor:
    def __init__(
        self,
        specs: Sequence[Spec],
        *,
        watch: Watch | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._kept = {
            spec.name: _Kept(spec, asyncio.Event(), asyncio.Event()) for spec in _in_order(specs)
        }
        self._watch = watch or Watch()
        self._clock = clock or SystemClock()
        self._rng = rng
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Begin; `ready()` waits for the end of the beginning."""
        for name, kept in self._kept.items():
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(self._keep(kept), name=f"keep-{name}")

    async def ready(self) -> None:
        """Every child has been started once. Raises what a child will not start for,
        such as Misconfigured; other trouble at the start is waited for."""
        for kept in self._kept.values():
            await kept.decided.wait()
            # Only that raises. `started` alone was waited for once, and a refusal reached nobody.
            if kept.refused:
                raise kept.refused

    async def stop(self) -> None:
        """Children end in the reverse order of their needs, each before the next."""
        # First those who keep them: they would start again what is stopped below.
        await tasks.end(*self._tasks.values())
        self._tasks.clear()
        for kept in reversed(self._kept.values()):
            if kept.child:
                await self._end(kept)
            kept.state = "stopped"

    def status(self) -> dict[str, dict[str, Any]]:
        return {
            name: {
                "state": kept.state,
                "restarts": kept.restarts,
                "trouble": kept.trouble,
                "health": kept.health,
            }
            for name, kept in self._kept.items()
        }

    # ---- one child

    async def _keep(self, kept: _Kept) -> None:
        for name in kept.spec.after:
            await self._kept[name].started.wait()
        watch = self._watch
        backoff = Backoff(first_s=watch.first_backoff_s, cap_s=watch.max_backoff_s, rng=self._rng)
        while True:
            began_s = self._clock.time()
            try:
                await self._start(kept)
                await self._until_dead(kept)
            except Exception as exc:  # noqa: BLE001  whatever a child does, it is tried again
                kept.trouble = repr(exc)
            _log.warning(
                "restarting an actor", extra={"actor": kept.spec.name, "trouble": kept.trouble}
            )
            await self._end(kept)
            if self._clock.time() - began_s >= watch.stable_s:
                backoff.reset()
            kept.state = "backing off"
            await self._clock.sleep(backoff.next_s())
            kept.restarts += 1
            metrics.actor_restarts.labels(kept.spec.name).inc()

    async def _start(self, kept: _Kept) -> None:
        kept.state = "starting"
        try:
            kept.child = await self._within(kept.spec.start(), self._watch.start_s)
        except Fatal as exc:
            kept.refused = exc
            kept.decided.set()
            raise
        kept.state = "running"
        kept.refused = None
        kept.trouble = None
        kept.started.set()
        kept.decided.set()
        _log.info("actor started", extra={"actor": kept.spec.name})

    async def _until_dead(self, kept: _Kept) -> None:
        """Returns when the child has to be replaced, with the reason in `trouble`."""
        assert kept.child is not None
        kept.misses = 0
        while kept.misses < self._watch.misses:
            await self._clock.sleep(self._watch.every_s)
            try:
                kept.health = await self._within(kept.child.health(), self._watch.answer_s)
            except Exception as exc:  # noqa: BLE001  no answer, for whatever reason
                kept.misses += 1
                kept.trouble = repr(exc)
                continue
            kept.misses = 0
            kept.trouble = kept.health.get("trouble")
            if not kept.health.get("alive", True):
                kept.trouble = kept.trouble or "ended by itself"
                return

    async def _end(self, kept: _Kept) -> None:
        child, kept.child = kept.child, None
        if child is None:
            return
        try:
            await self._within(child.stop(), self._watch.stop_s)
        except Exception as exc:  # noqa: BLE001  it is on its way out
            _log.warning(
                "an actor did not stop cleanly",
                extra={"actor": kept.spec.name, "trouble": repr(exc)},
            )

    async def _within(self, work: Awaitable[Any], seconds: float) -> Any:
        task = asyncio.ensure_future(work)
        alarm = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise TimeoutError(f"no answer in {seconds:g} s")
        finally:
            await tasks.end(task, alarm)


def _in_order(specs: Sequence[Spec]) -> list[Spec]:
    """Each after what it needs. Raises Misconfigured for unknown names and circles."""
    known = {spec.name: spec for spec in specs}
    ordered: dict[str, Spec] = {}
    while len(ordered) < len(known):
        ready = [
            spec
            for spec in known.values()
            if spec.name not in ordered and all(name in ordered for name in spec.after)
        ]
        if not ready:
            left = ", ".join(sorted(known.keys() - ordered.keys()))
            raise Misconfigured(f"actors wait for each other or for nobody: {left}")
        ordered.update({spec.name: spec for spec in ready})
    return list(ordered.values())
