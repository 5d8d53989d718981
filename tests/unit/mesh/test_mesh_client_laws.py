"""What no mixture of callers, answers, deadlines and policies may break."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import clock, run

from ecap.errors import (
    Conflict,
    DeadlineExceeded,
    EcapError,
    Overloaded,
    RateLimited,
    Unavailable,
)
from ecap.mesh import BreakerPolicy, CallContext, CallPolicy, MeshClient, Unreached, use

_EPSILON = 1e-6
NOTHING_DONE = (Overloaded, RateLimited, Unreached)


@dataclass(frozen=True)
class Answer:
    error: type[EcapError] | None
    delay_s: float
    retry_after_s: float


@dataclass(frozen=True)
class Caller:
    arrives_s: float
    idempotent: bool
    deadline_s: float | None
    cancelled_s: float | None
    answers: list[Answer]


times = st.floats(0, 3).map(lambda s: round(s, 2))
answers = st.builds(
    Answer,
    st.sampled_from(
        (None, Unavailable, Unreached, Overloaded, RateLimited, Conflict, DeadlineExceeded)
    ),
    times,
    st.sampled_from((0.0, 0.1, 1.0)),
)
callers = st.builds(
    Caller,
    times,
    st.booleans(),
    st.none() | times,
    st.none() | times,
    st.lists(answers, min_size=1, max_size=5),
)
policies = st.builds(
    CallPolicy,
    timeout_s=st.sampled_from((0.5, 1.0, 4.0)),
    attempts=st.integers(1, 5),
    backoff_s=st.sampled_from((0.01, 0.5)),
    retry_ratio=st.sampled_from((0.0, 0.2, 1.0)),
    retry_min_per_s=st.sampled_from((0.0, 1.0, 10.0)),
    max_concurrency=st.integers(1, 3),
    max_queue=st.integers(0, 3),
    breaker=st.builds(BreakerPolicy, min_calls=st.sampled_from((2, 1000)), open_s=st.just(0.5)),
)


class Recorder:
    """Answers each caller (the payload) from its list, the last answer for good."""

    def __init__(self) -> None:
        self.in_flight = self.most_in_flight = 0
        self.started: dict[int, list[float]] = {}
        self.ended: dict[int, list[type[BaseException] | None]] = {}

    async def send(
        self, method: str, payload: tuple[int, Caller], headers: Mapping[str, str], timeout_s: float
    ) -> Any:
        number, caller = payload
        mine = self.started.setdefault(number, [])
        mine.append(clock())
        answer = caller.answers[min(len(mine), len(caller.answers)) - 1]
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        ended: type[BaseException] | None = asyncio.CancelledError
        try:
            await asyncio.sleep(answer.delay_s)
            ended = answer.error
        finally:
            self.in_flight -= 1
            self.ended.setdefault(number, []).append(ended)
        if answer.error is None:
            return number
        if issubclass(answer.error, Conflict):
            raise answer.error("no")
        raise answer.error("no", retry_after_s=answer.retry_after_s)


@settings(max_examples=75)
@given(
    crowd=st.lists(callers, min_size=1, max_size=12),
    policy=policies,
    draws=st.lists(st.floats(0, 0.999), min_size=1, max_size=5),
)
def test_laws_of_a_call(crowd: list[Caller], policy: CallPolicy, draws: list[float]) -> None:
    recorder = Recorder()

    async def main() -> None:
        begun = clock()
        drawn = iter(draws * 100)
        mesh = MeshClient("laws", recorder, policy, clock=clock, draw=lambda: next(drawn))

        async def visit(number: int, caller: Caller) -> None:
            await asyncio.sleep(caller.arrives_s)
            arrived = clock()
            deadline = None if caller.deadline_s is None else arrived + caller.deadline_s
            with use(CallContext.new(deadline=deadline)), suppress(EcapError):
                await mesh.call("m", (number, caller), idempotent=caller.idempotent)
            if deadline is not None:
                assert clock() <= deadline + _EPSILON
                assert all(at < deadline for at in recorder.started.get(number, []))

        tasks = [
            asyncio.create_task(visit(n, caller), name=f"visit-{n}")
            for n, caller in enumerate(crowd)
        ]
        loop = asyncio.get_running_loop()
        for task, caller in zip(tasks, crowd, strict=True):
            if caller.cancelled_s is not None:
                loop.call_later(caller.cancelled_s, task.cancel)
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError), result

        assert recorder.most_in_flight <= policy.max_concurrency
        retries = sum(len(s) - 1 for s in recorder.started.values())
        income = policy.retry_min_per_s * (clock() - begun + 1)
        assert retries <= policy.retry_ratio * len(crowd) + income + _EPSILON
        await everything_was_given_back(mesh)

    async def everything_was_given_back(mesh: MeshClient) -> None:
        await asyncio.sleep(60)
        fine = Caller(0, True, None, None, [Answer(None, 0, 0)])
        for n in range(policy.max_concurrency + policy.breaker.probes):
            assert await mesh.call("m", (1000 + n, fine)) == 1000 + n

    run(main())
    for number, caller in enumerate(crowd):
        ended = recorder.ended.get(number, [])
        assert len(ended) <= policy.attempts
        if not caller.idempotent:
            assert all(e is not None and issubclass(e, NOTHING_DONE) for e in ended[:-1])
        assert all(e not in (None, Conflict) for e in ended[:-1])
