from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ecap.mesh import BreakerPolicy, State
from ecap.mesh.breaker import CircuitBreaker

POLICY = BreakerPolicy(
    window_s=10,
    min_calls=4,
    failure_ratio=0.5,
    slow_call_s=1,
    slow_ratio=0.75,
    open_s=5,
    probes=2,
)


class Changes(list[tuple[State, State]]):
    def __call__(self, before: State, after: State) -> None:
        self.append((before, after))


def outcome(
    breaker: CircuitBreaker, now: float, *, failed: bool = False, slow: bool = False
) -> None:
    ticket = breaker.admit(now)
    assert ticket is not None
    breaker.record(ticket, now, failed=failed, duration_s=2.0 if slow else 0.1)


def opened(now: float = 0.0, policy: BreakerPolicy = POLICY) -> CircuitBreaker:
    breaker = CircuitBreaker(policy, on_change=Changes())
    for _ in range(policy.min_calls):
        outcome(breaker, now, failed=True)
    assert breaker.state is State.OPEN
    return breaker


def test_few_failures_are_no_sample() -> None:
    breaker = CircuitBreaker(POLICY, on_change=Changes())
    for _ in range(3):
        outcome(breaker, 0, failed=True)
    assert breaker.state is State.CLOSED


def test_half_of_the_calls_failing_opens_and_says_so_once() -> None:
    changes = Changes()
    breaker = CircuitBreaker(POLICY, on_change=changes)
    for failed in (True, False, False, True):
        outcome(breaker, 0, failed=failed)
    assert breaker.admit(4.9) is None
    assert breaker.retry_after_s(3.0) == 2.0
    assert changes == [(State.CLOSED, State.OPEN)]


def test_slow_answers_open_although_they_are_good() -> None:
    breaker = CircuitBreaker(POLICY, on_change=Changes())
    for slow in (True, True, False, True):
        outcome(breaker, 0, slow=slow)
    assert breaker.state is State.OPEN


@pytest.mark.parametrize("bad", [{"failed": True}, {"slow": True}])
def test_what_is_old_is_forgotten(bad: dict[str, bool]) -> None:
    breaker = CircuitBreaker(POLICY, on_change=Changes())
    for _ in range(3):
        outcome(breaker, 0, **bad)
    for failed in (True, False, False, False):
        outcome(breaker, 10, failed=failed)
    assert breaker.state is State.CLOSED


def test_a_sample_bounds_memory_yet_never_undercuts_the_minimum() -> None:
    changes = Changes()
    breaker = CircuitBreaker(replace(POLICY, min_calls=1500), on_change=changes)
    for _ in range(1499):
        outcome(breaker, 0, failed=True)
    assert not changes
    outcome(breaker, 0, failed=True)
    assert breaker.state is State.OPEN


def test_half_open_lets_only_the_probes_through() -> None:
    breaker = opened()
    tickets = [breaker.admit(5.0) for _ in range(4)]
    assert [t is not None for t in tickets] == [True, True, False, False]
    assert breaker.state is State.HALF_OPEN
    assert breaker.retry_after_s(5.0) == POLICY.open_s


def test_good_probes_close_with_a_clean_record() -> None:
    breaker = opened()
    outcome(breaker, 5)
    outcome(breaker, 5)
    assert breaker.state is State.CLOSED
    for _ in range(3):
        outcome(breaker, 5, failed=True)
    assert breaker.state is State.CLOSED


@pytest.mark.parametrize("bad", [{"failed": True}, {"slow": True}])
def test_one_bad_probe_opens_again(bad: dict[str, bool]) -> None:
    breaker = opened()
    outcome(breaker, 5)
    outcome(breaker, 6, **bad)
    assert breaker.state is State.OPEN
    assert breaker.retry_after_s(6) == 5


def test_a_cancelled_probe_makes_room_for_another() -> None:
    breaker = opened()
    for _ in range(10):
        ticket = breaker.admit(5)
        assert ticket is not None
        breaker.forget(ticket)
    outcome(breaker, 5)
    outcome(breaker, 5)
    assert breaker.state is State.CLOSED


def test_calls_from_before_the_opening_do_not_judge_the_probes() -> None:
    breaker = CircuitBreaker(POLICY, on_change=Changes())
    early = [breaker.admit(0) for _ in range(6)]
    for ticket in early[:4]:
        assert ticket is not None
        breaker.record(ticket, 0, failed=True, duration_s=0.1)
    probe = breaker.admit(5)
    for ticket in early[4:]:
        assert ticket is not None
        breaker.record(ticket, 5, failed=True, duration_s=0.1)
        breaker.forget(ticket)
    second = breaker.admit(5)
    assert breaker.admit(5) is None
    meanwhile = breaker.state
    assert meanwhile is State.HALF_OPEN
    assert probe is not None
    assert second is not None
    for ticket in (probe, second):
        breaker.record(ticket, 5, failed=False, duration_s=0.1)
    assert breaker.state is State.CLOSED


def test_new_settings_keep_what_is_known() -> None:
    breaker = CircuitBreaker(POLICY, on_change=Changes())
    for _ in range(3):
        outcome(breaker, 0, failed=True)
    breaker.reconfigure(replace(POLICY, min_calls=2))
    outcome(breaker, 0)
    assert breaker.state is State.OPEN
    breaker.reconfigure(replace(POLICY, open_s=100))
    assert breaker.retry_after_s(0) == 5


def test_fewer_probes_than_already_passed_close_at_once() -> None:
    breaker = opened(policy=replace(POLICY, probes=3))
    outcome(breaker, 5)
    breaker.reconfigure(replace(POLICY, probes=1))
    assert breaker.state is State.CLOSED


@dataclass
class Oracle:
    """The same breaker without any bookkeeping: every question is asked of the full history."""

    policy: BreakerPolicy
    state: State = State.CLOSED
    open_until: float = -math.inf
    era: int = 0
    outcomes: list[tuple[float, bool, bool]] = field(default_factory=list)
    out: int = 0

    def become(self, state: State) -> None:
        self.state, self.era, self.outcomes, self.out = state, self.era + 1, [], 0

    def admit(self, now: float) -> int | None:
        if self.state is State.OPEN and now >= self.open_until:
            self.become(State.HALF_OPEN)
        if self.state is State.OPEN:
            return None
        if self.state is State.HALF_OPEN and self.out + len(self.outcomes) >= self.policy.probes:
            return None
        self.out += 1
        return self.era

    def end(self, era: int, now: float, told: tuple[bool, bool] | None) -> None:
        if era != self.era:
            return
        self.out -= 1
        if told is None:
            return
        self.outcomes.append((now, *told))
        if self.state is State.HALF_OPEN:
            if any(told):
                self.open(now)
            elif len(self.outcomes) >= self.policy.probes:
                self.become(State.CLOSED)
            return
        recent = [o for o in self.outcomes if o[0] > now - self.policy.window_s]
        failed, slow = sum(o[1] for o in recent), sum(o[2] for o in recent)
        if len(recent) >= self.policy.min_calls and (
            failed / len(recent) >= self.policy.failure_ratio
            or slow / len(recent) >= self.policy.slow_ratio
        ):
            self.open(now)

    def open(self, now: float) -> None:
        self.become(State.OPEN)
        self.open_until = now + self.policy.open_s


class BreakerAgainstOracle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        # Powers of two: the oracle divides where the breaker multiplies.
        self.policy = replace(POLICY, slow_call_s=1.0, failure_ratio=0.5, slow_ratio=0.75)
        self.breaker = CircuitBreaker(self.policy, on_change=Changes())
        self.oracle = Oracle(self.policy)
        self.now = 0.0
        self.calls: list[tuple[int, int]] = []

    @rule(quarters=st.integers(1, 50))
    def time_passes(self, quarters: int) -> None:
        self.now += quarters / 4

    @rule(times=st.integers(1, 5))
    def calls_begin(self, times: int) -> None:
        for _ in range(times):
            free = self.breaker.retry_after_s(self.now) == 0
            ticket, era = self.breaker.admit(self.now), self.oracle.admit(self.now)
            assert (ticket is None) == (era is None) == (not free)
            if ticket is not None and era is not None:
                self.calls.append((ticket, era))

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0), bad=st.booleans(), duration_s=st.sampled_from((0.0, 0.99, 1.0)))
    def a_call_ends(self, which: int, bad: bool, duration_s: float) -> None:
        ticket, era = self.calls.pop(which % len(self.calls))
        self.breaker.record(ticket, self.now, failed=bad, duration_s=duration_s)
        self.oracle.end(era, self.now, (bad, duration_s >= 1.0))

    @precondition(lambda self: self.calls)
    @rule()
    def all_calls_fail(self) -> None:
        for ticket, era in self.calls:
            self.breaker.record(ticket, self.now, failed=True, duration_s=0.0)
            self.oracle.end(era, self.now, (True, False))
        self.calls.clear()

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0))
    def a_call_is_cancelled(self, which: int) -> None:
        ticket, era = self.calls.pop(which % len(self.calls))
        self.breaker.forget(ticket)
        self.oracle.end(era, self.now, None)

    @invariant()
    def both_are_in_the_same_state(self) -> None:
        assert self.breaker.state is self.oracle.state


BreakerAgainstOracle.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestBreakerAgainstOracle = BreakerAgainstOracle.TestCase
