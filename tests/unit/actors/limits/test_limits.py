"""Tokens: never more than the bucket holds, whoever asks and whenever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecap.actors.limits.borrower import LeasedLimiter
from ecap.actors.limits.ledger import Grant, LimitLedger, Request
from ecap.errors import Unavailable


class Time:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Wire:
    """Between a replica and the ledger; counts calls, and can be cut."""

    def __init__(self, ledger: LimitLedger) -> None:
        self.ledger = ledger
        self.calls = 0
        self.cut = False

    async def __call__(self, requests: Sequence[Request]) -> Sequence[Grant]:
        self.calls += 1
        await asyncio.sleep(0)
        if self.cut:
            raise Unavailable("away")
        return self.ledger.lease(requests)


def limiter(wire: Wire, time: Time, *, lease_s: float = 2.0) -> LeasedLimiter:
    return LeasedLimiter(wire, service="test", lease_s=lease_s, clock=time)


def test_a_bucket_gives_what_it_has_and_says_when_to_come_back() -> None:
    time = Time()
    ledger = LimitLedger(clock=time)
    assert ledger.lease([("k", 10.0, 5.0, 3)]) == [(3, 0.0, 2)]
    assert ledger.lease([("k", 10.0, 5.0, 3)]) == [(2, 0.0, 0)]
    ((granted, retry_after_s, _),) = ledger.lease([("k", 10.0, 5.0, 3)])
    assert granted == 0
    assert retry_after_s == pytest.approx(0.1)
    time.now_s += 0.1
    assert ledger.lease([("k", 10.0, 5.0, 3)]) == [(1, 0.0, 0)]
    time.now_s += 100
    assert ledger.lease([("k", 10.0, 5.0, 99)]) == [(5, 0.0, 0)]


def test_full_buckets_are_forgotten() -> None:
    time = Time()
    ledger = LimitLedger(clock=time)
    for number in range(20_000):
        ledger.lease([(f"k{number}", 1000.0, 5.0, 1)])
        time.now_s += 0.001
    assert ledger.health()["buckets"] <= 2048


@given(
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 100),
    script=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 12), st.floats(0, 3)), max_size=40),
)
@settings(deadline=None)
def test_replicas_together_admit_no_more_than_the_bucket(
    rate: float, burst: int, script: list[tuple[int, int, float]]
) -> None:
    async def run() -> None:
        time = Time()
        wire = Wire(LimitLedger(clock=time))
        replicas = [limiter(wire, time) for _ in range(3)]
        admitted = 0
        for number, requests, pause_s in script:
            verdicts = await asyncio.gather(
                *(replicas[number].take("k", rate_per_s=rate, burst=burst) for _ in range(requests))
            )
            admitted += sum(verdict.allowed for verdict in verdicts)
            assert admitted <= burst + rate * time.now_s + 1e-6
            assert all(v.allowed or v.retry_after_s > 0 for v in verdicts)
            time.now_s += pause_s
        for replica in replicas:
            await replica.aclose()

    asyncio.run(run())


async def test_one_client_gets_the_whole_of_a_small_bucket() -> None:
    time = Time()
    replica = limiter(Wire(LimitLedger(clock=time)), time)
    verdicts = [await replica.take("k", rate_per_s=1, burst=5) for _ in range(7)]
    assert [v.allowed for v in verdicts] == [True] * 5 + [False] * 2
    assert [v.remaining for v in verdicts] == [4, 3, 2, 1, 0, 0, 0]
    await replica.aclose()


async def test_a_busy_key_is_decided_without_asking() -> None:
    time = Time()
    wire = Wire(LimitLedger(clock=time))
    replica = limiter(wire, time)
    asked = 0
    for _ in range(2000):
        if replica.try_take("k", rate_per_s=1000, burst=2000) is None:
            asked += 1
            await replica.take("k", rate_per_s=1000, burst=2000)
        time.now_s += 0.001
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert asked < 20
    assert wire.calls < 60
    await replica.aclose()


async def test_all_keys_of_a_moment_travel_in_one_call() -> None:
    time = Time()
    wire = Wire(LimitLedger(clock=time))
    replica = limiter(wire, time)
    await asyncio.gather(*(replica.take(f"k{n}", rate_per_s=1, burst=5) for n in range(100)))
    assert wire.calls == 1
    await replica.aclose()


async def test_without_the_ledger_a_replica_limits_by_itself_and_returns_to_it() -> None:
    time = Time()
    wire = Wire(LimitLedger(clock=time))
    replica = limiter(wire, time)
    wire.cut = True
    verdicts = [await replica.take("k", rate_per_s=1, burst=5) for _ in range(7)]
    assert [v.allowed for v in verdicts] == [True] * 5 + [False] * 2
    assert wire.calls == 1
    wire.cut = False
    time.now_s += 2
    assert (await replica.take("k", rate_per_s=1, burst=5)).allowed
    assert wire.calls == 2
    await replica.aclose()


async def test_tokens_not_used_in_time_are_lost() -> None:
    time = Time()
    wire = Wire(LimitLedger(clock=time))
    replica = limiter(wire, time, lease_s=2.0)
    for _ in range(10):
        await replica.take("k", rate_per_s=0.001, burst=100)
    time.now_s += 3.0
    assert replica.try_take("k", rate_per_s=0.001, burst=100) is None
    await replica.aclose()


class SlowWire(Wire):
    """Holds the first call until told, so that others come meanwhile."""

    def __init__(self, ledger: LimitLedger) -> None:
        super().__init__(ledger)
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, requests: Sequence[Request]) -> Sequence[Grant]:
        self.asked.set()
        await self.go.wait()
        return await super().__call__(requests)


async def test_who_comes_while_the_ledger_is_asked_is_not_refused() -> None:
    time = Time()
    wire = SlowWire(LimitLedger(clock=time))
    limit = limiter(wire, time)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(limit.take("k", rate_per_s=10, burst=100))
        await wire.asked.wait()
        late = [group.create_task(limit.take("k", rate_per_s=10, burst=100)) for _ in range(5)]
        await asyncio.sleep(0)
        wire.go.set()
    assert first.result().allowed
    assert all(one.result().allowed for one in late)


async def test_an_empty_bucket_refuses_at_once() -> None:
    time = Time()
    wire = Wire(LimitLedger(clock=time))
    limit = limiter(wire, time)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(limit.take("k", rate_per_s=10, burst=4)) for _ in range(10)]
    verdicts = [one.result() for one in asked]
    assert [v.allowed for v in verdicts].count(True) == 4
    assert all(v.retry_after_s > 0 for v in verdicts if not v.allowed)
    calls = wire.calls
    assert limit.try_take("k", rate_per_s=10, burst=4) is not None
    assert wire.calls == calls


class LongWire(Wire):
    async def __call__(self, requests: Sequence[Request]) -> Sequence[Grant]:
        for _ in range(20):
            await asyncio.sleep(0)
        return await super().__call__(requests)


async def test_many_at_once_soon_decide_without_waiting() -> None:
    time = Time()
    wire = LongWire(LimitLedger(clock=time))
    limit = limiter(wire, time)
    waited = 0

    async def client() -> None:
        nonlocal waited
        for _ in range(100):
            verdict = limit.try_take("k", rate_per_s=1e6, burst=1e6)
            if verdict is None:
                waited += 1
                verdict = await limit.take("k", rate_per_s=1e6, burst=1e6)
            assert verdict.allowed
            await asyncio.sleep(0)

    await asyncio.gather(*(client() for _ in range(16)))
    assert waited < 200
    assert wire.calls < 30


async def test_a_raised_limit_ends_the_refusal_of_the_old_one() -> None:
    time = Time()
    wire = Wire(LimitLedger(clock=time))
    limits = limiter(wire, time)
    slow = {"rate_per_s": 0.01, "burst": 1.0}
    assert (await limits.take("k", **slow)).allowed
    assert (await limits.take("k", **slow)).retry_after_s > 50
    fast = {"rate_per_s": 1000.0, "burst": 10.0}
    await limits.take("k", **fast)  # from here on the ledger counts by the new rate
    time.now_s += 0.01
    assert (await limits.take("k", **fast)).allowed


async def test_a_lowered_limit_takes_back_what_was_lent_ahead() -> None:
    time = Time()
    wire = Wire(LimitLedger(clock=time))
    limits = limiter(wire, time, lease_s=60.0)
    for _ in range(300):
        assert (await limits.take("k", rate_per_s=1.0, burst=1000.0)).allowed
    allowed = [(await limits.take("k", rate_per_s=0.001, burst=3.0)).allowed for _ in range(20)]
    assert sum(allowed) <= 6  # what is kept here, and one bucket of the ledger


async def test_a_lease_may_become_shorter() -> None:
    time = Time()
    wire = Wire(LimitLedger(clock=time))
    limits = limiter(wire, time, lease_s=60.0)
    limits.reconfigure(lease_s=1.0)
    for _ in range(5):
        await limits.take("k", rate_per_s=1000.0, burst=1000.0)
    calls = wire.calls
    time.now_s += 2.0
    await limits.take("k", rate_per_s=1000.0, burst=1000.0)
    assert wire.calls == calls + 1


async def test_a_newcomer_is_not_swept_with_the_old() -> None:
    """At the 1024th caller: two of its requests at once, and neither waits for ever."""
    time = Time()
    wire = Wire(LimitLedger(clock=time))
    ours = limiter(wire, time)
    for number in range(1023):
        await ours.take(f"k{number}", rate_per_s=1.0, burst=5.0)
    async with asyncio.timeout(5):
        both = await asyncio.gather(
            *(ours.take("newcomer", rate_per_s=1.0, burst=5.0) for _ in range(2))
        )
    assert [ruling.allowed for ruling in both] == [True, True]
    await ours.aclose()
