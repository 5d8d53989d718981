from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY
from unit.mesh.callee import Callee, Step, client
from virtual_time import clock, run

from ecap.errors import (
    Conflict,
    DeadlineExceeded,
    EcapError,
    Fenced,
    NotFound,
    Overloaded,
    RateLimited,
    Unavailable,
)
from ecap.mesh import (
    BreakerPolicy,
    CallContext,
    CallPolicy,
    MeshClient,
    Principal,
    State,
    Trace,
    Unreached,
    use,
)

POLICY = CallPolicy(retry_min_per_s=100)
EAGER = replace(POLICY, breaker=BreakerPolicy(min_calls=2, open_s=5, probes=1))


def outcomes(callee: str, outcome: str) -> float:
    labels = {"callee": callee, "outcome": outcome}
    return REGISTRY.get_sample_value("ecap_mesh_calls_total", labels) or 0.0


def sample(name: str, callee: str) -> float:
    return REGISTRY.get_sample_value(name, {"callee": callee}) or 0.0


async def failing(call: Coroutine[Any, Any, Any]) -> BaseException:
    try:
        await call
    except Exception as error:  # noqa: BLE001  what it raised is the answer
        return error
    raise AssertionError("the call succeeded")


class TestAnAttempt:
    def test_carries_request_trace_principal_and_time(self) -> None:
        async def main() -> None:
            callee = Callee()
            context = CallContext.new(
                principal=Principal("u1", "user", scopes=frozenset({"orders:read"})),
                deadline=clock() + 0.5,
            )
            with use(context):
                assert (
                    await client(callee).call("ask", {"a": 1}, headers={"if-match": "7"}) == "done"
                )
            (sent,) = callee.attempts
            assert (sent.method, sent.payload, sent.timeout_s) == ("ask", {"a": 1}, 0.5)
            assert sent.headers["if-match"] == "7"
            got = CallContext.from_headers(sent.headers, now=clock(), trusted=True)
            assert got.request_id == context.request_id
            assert got.principal == context.principal
            assert got.deadline == context.deadline
            span = Trace.parse(sent.headers["traceparent"])
            assert span is not None
            assert span.trace_id == context.trace.trace_id
            assert span.span_id != context.trace.span_id

        run(main())

    def test_gets_the_policys_time_without_a_deadline(self) -> None:
        async def main() -> None:
            callee = Callee(Step(delay_s=99))
            started = clock()
            error = await failing(client(callee, CallPolicy(timeout_s=0.7)).call("ask"))
            assert isinstance(error, DeadlineExceeded)
            assert clock() - started == pytest.approx(0.7)

        run(main())

    def test_is_not_made_after_the_deadline(self) -> None:
        async def main() -> None:
            callee = Callee()
            with use(CallContext.new(deadline=clock())):
                error = await failing(client(callee, POLICY).call("ask", idempotent=True))
            assert isinstance(error, DeadlineExceeded)
            assert callee.attempts == []

        run(main())

    def test_takes_the_nearer_of_deadline_and_timeout(self) -> None:
        async def main() -> None:
            callee = Callee()
            with use(CallContext.new(deadline=clock() + 1.5)):
                for timeout_s in (0.5, 1.75, None):
                    await client(callee).call("ask", timeout_s=timeout_s)
            assert [a.timeout_s for a in callee.attempts] == [0.5, 1.5, 1.5]

        run(main())

    def test_that_is_cancelled_gives_everything_back(self) -> None:
        async def main() -> None:
            callee = Callee(Step(delay_s=99), Step())
            mesh = client(callee, replace(POLICY, max_concurrency=1), name="cancelled")
            task = asyncio.create_task(mesh.call("ask"), name="ask")
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await mesh.call("ask") == "done"
            assert outcomes("cancelled", "cancelled") == 1

        run(main())


class TestARetry:
    @pytest.mark.parametrize(
        "error",
        [
            Overloaded("full", retry_after_s=0),
            RateLimited("slow down", retry_after_s=0),
            Unreached("no connection", retry_after_s=0),
        ],
    )
    def test_is_made_when_nothing_was_done(self, error: EcapError) -> None:
        async def main() -> None:
            callee = Callee(Step(error), Step("done"))
            assert await client(callee, POLICY).call("pay") == "done"

        run(main())

    @pytest.mark.parametrize(
        "error", [Unavailable("?", retry_after_s=0), DeadlineExceeded("?"), TimeoutError()]
    )
    def test_of_what_may_have_happened_needs_idempotence(self, error: Exception) -> None:
        async def main() -> None:
            once = Callee(Step(error))
            await failing(client(once, POLICY).call("pay"))
            assert len(once.attempts) == 1

            twice = Callee(Step(error), Step("done"))
            assert await client(twice, POLICY).call("get", idempotent=True) == "done"
            by_policy = Callee(Step(error), Step("done"))
            assert await client(by_policy, replace(POLICY, idempotent=True)).call("get") == "done"

        run(main())

    @pytest.mark.parametrize("error", [Overloaded, RateLimited, Unreached])
    def test_is_not_made_when_the_callee_passed_the_error_on(self, error: type[EcapError]) -> None:
        """It may have acted before it called the one that did nothing."""

        async def main() -> None:
            callee = Callee(Step(error("full", retry_after_s=0, callee="further-down")))
            caught = await failing(client(callee, POLICY).call("pay"))
            assert len(callee.attempts) == 1
            assert isinstance(caught, error)
            assert caught.facts["callee"] == "further-down"

        run(main())

    @pytest.mark.parametrize(
        "error",
        [Conflict("no"), NotFound("no"), Fenced("newer"), EcapError("bug"), KeyError("bug")],
    )
    def test_is_not_made_where_it_cannot_help(self, error: Exception) -> None:
        async def main() -> None:
            callee = Callee(Step(error))
            caught = await failing(client(callee, POLICY).call("get", idempotent=True))
            assert type(caught) is type(error)
            assert len(callee.attempts) == 1

        run(main())

    def test_comes_after_full_jitter_that_doubles_up_to_its_maximum(self) -> None:
        async def main() -> None:
            callee = Callee(Step(Unavailable("?", retry_after_s=0)))
            policy = replace(POLICY, attempts=5, backoff_s=0.1, backoff_max_s=0.3)
            await failing(client(callee, policy, draw=0.5).call("get", idempotent=True))
            times = [a.at for a in callee.attempts]
            gaps = [b - a for a, b in itertools.pairwise(times)]
            assert gaps == pytest.approx([0.05, 0.1, 0.15, 0.15])

        run(main())

    def test_waits_as_long_as_it_was_asked_to(self) -> None:
        async def main() -> None:
            callee = Callee(Step(RateLimited("wait", retry_after_s=3)), Step())
            await client(callee, replace(POLICY, backoff_s=0.2), draw=0.5).call("pay")
            first, second = callee.attempts
            assert second.at - first.at == pytest.approx(3.1)

        run(main())

    def test_is_not_made_when_the_wait_would_pass_the_deadline(self) -> None:
        async def main() -> None:
            callee = Callee(Step(RateLimited("wait", retry_after_s=3)))
            started = clock()
            error = await failing(client(callee, POLICY).call("pay", timeout_s=2.9))
            assert isinstance(error, RateLimited)
            assert clock() == started

        run(main())

    def test_gets_what_is_left_of_the_time(self) -> None:
        async def main() -> None:
            callee = Callee(Step(delay_s=99), Step())
            policy = replace(POLICY, timeout_s=1.0, backoff_s=0.2)
            await client(callee, policy, draw=0.5).call("get", idempotent=True, timeout_s=1.5)
            assert [a.timeout_s for a in callee.attempts] == pytest.approx([1.0, 0.4])

        run(main())

    def test_is_paid_from_the_budget(self) -> None:
        async def main() -> None:
            callee = Callee(Step(Overloaded("full", retry_after_s=0)))
            policy = CallPolicy(attempts=3, retry_ratio=0.1, retry_min_per_s=0, backoff_s=1e-6)
            mesh = client(callee, policy, name="budgeted")
            for _ in range(100):
                await failing(mesh.call("get"))
            assert 100 + 9 <= len(callee.attempts) <= 100 + 10
            retries = sample("ecap_mesh_retries_total", "budgeted")
            assert retries == len(callee.attempts) - 100

        run(main())

    def test_is_told_apart_by_its_span(self) -> None:
        async def main() -> None:
            callee = Callee(Step(Unreached("?", retry_after_s=0)), Step())
            await client(callee, POLICY).call("pay")
            first, second = (a.headers for a in callee.attempts)
            assert first["traceparent"] != second["traceparent"]

        run(main())


class TestTheBreaker:
    def test_stops_calls_and_lets_a_probe_find_out(self, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            callee = Callee(Step(Unavailable("down")), Step(Unavailable("down")), Step())
            mesh = client(callee, EAGER, name="breaking")
            for _ in range(2):
                await failing(mesh.call("pay"))
            state = mesh.breaker_state
            assert state is State.OPEN
            assert sample("ecap_mesh_breaker_state", "breaking") == 2
            error = await failing(mesh.call("pay"))
            assert isinstance(error, Unavailable)
            assert error.retry_after_s == pytest.approx(5)
            assert error.facts["callee"] == "breaking"
            assert len(callee.attempts) == 2
            await asyncio.sleep(5)
            assert await mesh.call("pay") == "done"
            assert mesh.breaker_state is State.CLOSED
            assert sample("ecap_mesh_breaker_state", "breaking") == 0

        with caplog.at_level(logging.INFO, logger="ecap"):
            run(main())
        lines = [(r.levelname, r.getMessage(), vars(r)["callee"]) for r in caplog.records]
        assert lines == [
            ("WARNING", "circuit open", "breaking"),
            ("INFO", "circuit half_open", "breaking"),
            ("INFO", "circuit closed", "breaking"),
        ]

    @pytest.mark.parametrize(
        "error", [Conflict("no"), Overloaded("full"), RateLimited("slow down")]
    )
    def test_stays_closed_while_the_callee_answers(self, error: EcapError) -> None:
        async def main() -> None:
            mesh = client(Callee(Step(error)), replace(EAGER, attempts=1))
            for _ in range(10):
                await failing(mesh.call("pay"))
            assert mesh.breaker_state is State.CLOSED

        run(main())

    @pytest.mark.parametrize("error", [Unreached("?"), EcapError("bug"), KeyError("bug")])
    def test_counts_what_is_the_callees_fault(self, error: Exception) -> None:
        async def main() -> None:
            mesh = client(Callee(Step(error)), replace(EAGER, attempts=1))
            for _ in range(2):
                await failing(mesh.call("pay"))
            assert mesh.breaker_state is State.OPEN

        run(main())

    @pytest.mark.parametrize(("left_s", "state"), [(0.01, State.CLOSED), (0.9, State.OPEN)])
    def test_is_not_opened_by_a_strangers_impatience(self, left_s: float, state: State) -> None:
        async def main() -> None:
            mesh = client(Callee(Step(delay_s=99)), replace(EAGER, timeout_s=1.0))
            for _ in range(4):
                with use(CallContext.new(deadline=clock() + left_s)):
                    await failing(mesh.call("get"))
            assert mesh.breaker_state is state

        run(main())

    def test_is_opened_by_the_timeout_the_caller_itself_set(self) -> None:
        async def main() -> None:
            mesh = client(Callee(Step(delay_s=99)), replace(EAGER, timeout_s=10.0))
            for _ in range(2):
                await failing(mesh.call("get", timeout_s=0.1))
            assert mesh.breaker_state is State.OPEN

        run(main())

    def test_also_stops_those_who_queued_before_it_opened(self) -> None:
        async def main() -> None:
            callee = Callee(Step(Unavailable("down"), delay_s=0.1))
            mesh = client(callee, replace(EAGER, max_concurrency=1))
            errors = await asyncio.gather(
                *(failing(mesh.call("pay")) for _ in range(6)),
            )
            assert len(callee.attempts) == 2
            assert all(isinstance(e, Unavailable) for e in errors)
            await asyncio.sleep(5)
            await failing(mesh.call("pay"))
            assert len(callee.attempts) == 3

        run(main())


class TestTheLimit:
    def test_sheds_what_does_not_fit_the_queue(self) -> None:
        async def main() -> None:
            callee = Callee(Step(delay_s=0.5))
            mesh = client(callee, replace(POLICY, max_concurrency=2, max_queue=3), name="shed")
            results = await asyncio.gather(
                *(mesh.call("get", idempotent=True) for _ in range(8)), return_exceptions=True
            )
            shed = [r for r in results if isinstance(r, Overloaded)]
            assert len(shed) == 3
            assert results.count("done") == 5
            assert callee.most_in_flight == 2
            assert len(callee.attempts) == 5
            assert sample("ecap_mesh_shed_total", "shed") == 3
            assert outcomes("shed", "overloaded") == 3

        run(main())

    def test_sheds_who_waits_too_long_with_nothing_done(self) -> None:
        async def main() -> None:
            callee = Callee(Step(delay_s=1))
            mesh = client(callee, replace(POLICY, max_concurrency=1), name="waiting")
            first = asyncio.create_task(mesh.call("get"), name="first")
            await asyncio.sleep(0)
            started = clock()
            error = await failing(mesh.call("get", timeout_s=0.25))
            assert isinstance(error, Overloaded)
            assert clock() - started == pytest.approx(0.25)
            assert await first == "done"
            assert len(callee.attempts) == 1
            assert sample("ecap_mesh_shed_total", "waiting") == 1

        run(main())

    def test_does_not_give_a_slot_to_who_is_late(self) -> None:
        """The process stood still for ten seconds; the loop has yet to notice."""

        async def main() -> None:
            stalled_s = 0.0

            class Stalling(Callee):
                async def send(self, *args: Any) -> Any:
                    nonlocal stalled_s
                    answer = await super().send(*args)
                    stalled_s = 10.0
                    return answer

            callee = Stalling(Step(delay_s=1))
            policy = replace(POLICY, max_concurrency=1)
            mesh = MeshClient("late", callee, policy, clock=lambda: clock() + stalled_s)
            first = asyncio.create_task(mesh.call("get"), name="first")
            await asyncio.sleep(0)
            assert isinstance(await failing(mesh.call("get", timeout_s=5)), DeadlineExceeded)
            assert await first == "done"
            assert len(callee.attempts) == 1
            assert await mesh.call("get") == "done"

        run(main())

    def test_does_not_hold_a_slot_while_waiting_to_retry(self) -> None:
        async def main() -> None:
            callee = Callee(Step(RateLimited("wait", retry_after_s=5)), Step())
            mesh = client(callee, replace(POLICY, max_concurrency=1, max_queue=0))
            first = asyncio.create_task(mesh.call("get"), name="first")
            await asyncio.sleep(1)
            assert await mesh.call("get") == "done"
            assert await first == "done"

        run(main())


class TestReconfiguring:
    def test_keeps_the_open_circuit_and_changes_the_rest_at_once(self) -> None:
        async def main() -> None:
            callee = Callee(Step(Unavailable("down")), Step(Unavailable("down")), Step(delay_s=9))
            mesh = client(callee, EAGER)
            for _ in range(2):
                await failing(mesh.call("pay"))
            mesh.reconfigure(replace(EAGER, timeout_s=0.2, max_concurrency=1, max_queue=0))
            assert mesh.breaker_state is State.OPEN
            await asyncio.sleep(5)
            slow = asyncio.create_task(failing(mesh.call("get")), name="slow")
            await asyncio.sleep(0.1)
            assert isinstance(await failing(mesh.call("get")), Unavailable)
            assert isinstance(await slow, DeadlineExceeded)
            assert callee.attempts[-1].timeout_s == 0.2

        run(main())

    def test_judges_what_was_seen_before_by_the_new_measure(self) -> None:
        async def main() -> None:
            mesh = client(Callee(Step(Unavailable("down"))), POLICY)
            await failing(mesh.call("pay"))
            mesh.reconfigure(EAGER)
            await failing(mesh.call("pay"))
            assert mesh.breaker_state is State.OPEN

        run(main())

    def test_lets_the_queue_through_when_the_limit_grows(self) -> None:
        async def main() -> None:
            callee = Callee(Step(delay_s=1))
            mesh = client(callee, replace(POLICY, max_concurrency=1))
            async with asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(mesh.call("get"), name="get")
                await asyncio.sleep(0.5)
                mesh.reconfigure(replace(POLICY, max_concurrency=4))
            assert callee.most_in_flight == 4

        run(main())


def test_the_metrics_tell_each_outcome() -> None:
    async def main() -> None:
        steps = (Step(), Step(Conflict("no")), Step(delay_s=99), Step(KeyError("bug")))
        mesh = client(Callee(*steps), replace(POLICY, attempts=1), name="counted")
        await mesh.call("x")
        for _ in range(3):
            await failing(mesh.call("x"))

    run(main())
    for outcome in ("ok", "conflict", "deadline-exceeded", "error"):
        assert outcomes("counted", outcome) == 1
    assert sample("ecap_mesh_call_seconds_count", "counted") == 4
    assert sample("ecap_mesh_call_seconds_sum", "counted") == pytest.approx(2.0)


async def test_it_works_with_the_real_clock_and_dice() -> None:
    class Echo:
        async def send(self, method: str, payload: Any, *_: Any) -> Any:
            return method, payload

    mesh = MeshClient("echo", Echo(), CallPolicy())
    assert await mesh.call("say", 1, timeout_s=5) == ("say", 1)
    assert mesh.callee == "echo"
