"""Sliding windows give what counting every event again gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap.domain.values.windows import (
    SECOND,
    AmountWindow,
    DistinctWindow,
    Generations,
    Watermark,
    micros,
    moment,
)

# A small range, so that equal times and window edges are hit often.
_times = st.integers(0, 40)
_widths = st.integers(1, 15)
_amounts = st.lists(st.tuples(_times, st.integers(0, 1000)), max_size=40)


@given(events=_amounts, at=_times, width=_widths)
def test_counts_and_sums_are_those_of_the_events(
    events: list[tuple[int, int]], at: int, width: int
) -> None:
    window = AmountWindow()
    for time, amount in events:
        window.add(time, amount)
    inside = [amount for time, amount in events if at - width < time <= at]
    assert window.count(at, width) == len(inside)
    assert window.sum(at, width) == sum(inside)


@given(
    steps=st.lists(st.tuples(st.integers(-5, 8), st.integers(0, 1000)), max_size=60),
    width=st.integers(1, 10),
)
def test_eviction_changes_no_answer_within_the_retention(
    steps: list[tuple[int, int]], width: int
) -> None:
    lateness = 5
    window, events, newest = AmountWindow(), list[tuple[int, int]](), 0
    for step, amount in steps:
        time = newest + step
        newest = max(newest, time)
        window.evict(newest - width - lateness)
        window.add(time, amount)
        events.append((time, amount))
        inside = [a for t, a in events if time - width < t <= time]
        assert (window.count(time, width), window.sum(time, width)) == (len(inside), sum(inside))


def test_memory_is_that_of_the_retention() -> None:
    window = AmountWindow()
    distinct: DistinctWindow[str] = DistinctWindow()
    for time in range(10_000):
        window.evict(time - 100)
        window.add(time, 1)
        distinct.evict(time - 100)
        distinct.add(time, str(time))
    assert len(window.times) <= 203
    assert len(distinct.keys) <= 203


@given(
    steps=st.lists(
        st.tuples(st.integers(-5, 8), st.sampled_from("abcd"), st.booleans()), max_size=60
    ),
    width=st.integers(1, 10),
)
def test_distinct_keys_are_those_of_the_events(
    steps: list[tuple[int, str, bool]], width: int
) -> None:
    """Additions and questions about any time within the retention, interleaved."""
    lateness = 5
    window: DistinctWindow[str] = DistinctWindow()
    events, newest = list[tuple[int, str]](), 0
    for step, key, asked_only in steps:
        time = newest + step
        if not asked_only:
            newest = max(newest, time)
            window.evict(newest - width - lateness)
            window.add(time, key)
            events.append((time, key))
        inside = {k for t, k in events if time - width < t <= time}
        assert window.count(time, width) == len(inside)
        assert window.count(time, width, ["a", "z", "z"]) == len(inside | {"a", "z"})


def test_an_event_exactly_as_old_as_the_window_has_left_it() -> None:
    window = AmountWindow()
    window.add(0, 7)
    assert window.count(10, 11) == 1
    assert window.count(10, 10) == 0
    assert window.count(0, 1) == 1


def test_generations_keep_what_is_used() -> None:
    kept: Generations[str, int] = Generations()
    kept.put("used", 1)
    kept.put("idle", 2)
    kept.turn()
    assert kept.use("used") == 1
    kept.turn()
    assert kept.peek("used") == 1
    assert kept.peek("idle") is None
    assert len(kept) == 1


def test_one_wrong_clock_does_not_age_everybody() -> None:
    mark = Watermark()
    mark.advance(0)
    mark.advance(10**18)
    assert mark.at == 60 * SECOND
    mark.advance(5)
    assert mark.behind(59 * SECOND) == SECOND


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))
def test_microseconds_are_exact(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    assert moment(micros(at)) == at


@pytest.mark.parametrize("hours", [-9, 5.5])
def test_microseconds_know_time_zones(hours: float) -> None:
    zone = timezone(timedelta(hours=hours))
    assert micros(datetime(2026, 1, 1, tzinfo=zone)) == micros(
        datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=hours)
    )
