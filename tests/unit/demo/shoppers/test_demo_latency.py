from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap.demo.shoppers.latency import Latency, percentile
from ecap.demo.shoppers.ledger import Ledger
from ecap.demo.show.exposition import Samples


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0)]
)
def test_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(i) for i in range(100, 0, -1)], share) == expected


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile([], 0.5) is None


@given(st.lists(st.floats(0, 10), min_size=1), st.floats(0.01, 1))
def test_at_least_the_share_is_not_above(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found is not None
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9


def test_only_the_last_seconds_are_recent() -> None:
    latency = Latency(recent_s=10.0)
    for second in range(30):
        latency.add(second / 1000, now=float(second))
    assert latency.recent_s(29.0) == [second / 1000 for second in range(20, 30)]
    assert latency.recent_s(100.0) == []
    assert len(latency.all_s) == 30


def test_a_ledger_without_orders_has_no_rate() -> None:
    assert Ledger().per_second(5.0) == 0.0


def test_samples_are_added_up_by_label() -> None:
    samples = Samples(
        "# HELP lag events\n"
        'lag{pipeline="fraud",partition="0"} 3.0\n'
        'lag{pipeline="fraud",partition="1"} 4\n'
        'lag{pipeline="users",partition="0"} 1e1\n'
        'lag_total{pipeline="fraud"} 99\n'
        'odd{text="a \\"b\\", c"} NaN\n'
        "plain 2\n"
    )
    assert samples.by("lag", "pipeline") == {"fraud": 7.0, "users": 10.0}
    assert samples.total("lag", partition="0") == 13.0
    assert samples.total("plain") == 2.0
    assert samples.total("nothing") == 0.0
