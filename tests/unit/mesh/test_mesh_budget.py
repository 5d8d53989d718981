from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap.mesh.budget import RetryBudget


@given(
    ratio=st.floats(0, 2),
    min_per_s=st.floats(0, 5),
    events=st.lists(st.tuples(st.floats(0, 30), st.booleans())),
)
def test_retries_never_exceed_the_ratio_and_the_income(
    ratio: float, min_per_s: float, events: list[tuple[float, bool]]
) -> None:
    start = now = 100.0
    budget = RetryBudget(ratio=ratio, min_per_s=min_per_s, now=now)
    calls = retries = 0
    for pause_s, is_call in events:
        now += pause_s
        if is_call:
            calls += 1
            budget.deposit(now)
        else:
            retries += budget.withdraw(now)
        assert retries <= ratio * calls + min_per_s * (now - start + 1) + 1e-6


@given(calls=st.integers(0, 100), ratio=st.sampled_from((0.0, 0.1, 0.2, 0.5, 1.0)))
def test_what_was_deposited_can_be_spent(calls: int, ratio: float) -> None:
    budget = RetryBudget(ratio=ratio, min_per_s=0, now=0.0)
    for _ in range(calls):
        budget.deposit(0.0)
    spent = sum(budget.withdraw(0.0) for _ in range(200))
    assert spent == pytest.approx(calls * ratio, abs=1)
    assert spent <= calls * ratio


def test_a_quiet_caller_may_retry_once_a_second() -> None:
    budget = RetryBudget(ratio=0, min_per_s=1, now=0.0)
    assert [budget.withdraw(t) for t in (0.0, 0.5, 1.0, 1.5, 2.0)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_long_calm_pays_for_ten_seconds_of_retries() -> None:
    budget = RetryBudget(ratio=0, min_per_s=2, now=0.0)
    assert sum(budget.withdraw(86400.0) for _ in range(100)) == 20


def test_many_calls_pay_for_the_retries_of_a_hundred() -> None:
    budget = RetryBudget(ratio=0.2, min_per_s=0, now=0.0)
    for _ in range(10_000):
        budget.deposit(0.0)
    assert sum(budget.withdraw(0.0) for _ in range(100)) == 20


def test_no_budget_means_no_retry() -> None:
    budget = RetryBudget(ratio=0, min_per_s=0, now=0.0)
    budget.deposit(10.0)
    assert not budget.withdraw(1000.0)


def test_a_smaller_budget_takes_the_savings_and_a_larger_one_pays_from_now_on() -> None:
    budget = RetryBudget(ratio=0, min_per_s=5, now=0.0)
    budget.resize(ratio=0, min_per_s=0.1, now=100.0)
    assert [budget.withdraw(100.0) for _ in range(2)] == [True, False]
    budget.resize(ratio=0, min_per_s=5, now=100.0)
    assert not budget.withdraw(100.0)
    assert budget.withdraw(100.2)
