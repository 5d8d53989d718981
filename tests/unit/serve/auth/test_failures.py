"""How many failures become entries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ecap.serve.auth.failures import is_told


def test_the_first_and_then_each_doubling() -> None:
    assert [n for n in range(1, 50) if is_told(n, 5)] == [1, 2, 3, 4, 5, 10, 20, 40]


@given(st.integers(1, 50), st.integers(1, 3_000))
def test_entries_grow_with_the_logarithm_and_the_last_is_half_of_all(singly: int, n: int) -> None:
    told = [count for count in range(1, n + 1) if is_told(count, singly)]
    assert len(told) <= singly + n.bit_length()
    assert told[-1] * 2 > n
