"""A callee that does what it is told, attempt by attempt, and remembers what it was sent."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from virtual_time import clock

from ecap.mesh import CallPolicy, MeshClient


@dataclass(frozen=True)
class Step:
    """Answer `result` after `delay_s`; an exception is raised."""

    result: Any = "done"
    delay_s: float = 0.0


@dataclass(frozen=True)
class Attempt:
    at: float
    method: str
    payload: Any
    headers: Mapping[str, str]
    timeout_s: float


class Callee:
    """Runs through `steps`, then repeats the last one."""

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps) or [Step()]
        self.attempts: list[Attempt] = []
        self.in_flight = 0
        self.most_in_flight = 0

    async def send(
        self, method: str, payload: Any, headers: Mapping[str, str], timeout_s: float
    ) -> Any:
        self.attempts.append(Attempt(clock(), method, payload, dict(headers), timeout_s))
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(step.delay_s)
        finally:
            self.in_flight -= 1
        if isinstance(step.result, BaseException):
            # What crosses a boundary is a copy each time.
            raise copy.copy(step.result)
        return step.result


def client(
    callee: Callee, policy: CallPolicy | None = None, *, name: str = "callee", draw: float = 0.5
) -> MeshClient:
    return MeshClient(name, callee, policy or CallPolicy(), clock=clock, draw=lambda: draw)
