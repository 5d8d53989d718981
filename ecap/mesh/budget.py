"""A bound on retries, so that a failing callee is not buried by them.

After Finagle's RetryBudget: each call deposits a fraction of a token, each retry
takes a whole one, and a small steady income lets a quiet caller retry at all.
"""

from __future__ import annotations

_SAVED_S = 10.0  # income of at most so long is saved
_SAVED_CALLS = 100  # and deposits of at most so many calls: old calm pays for no storm


class RetryBudget:
    """Retries up to t <= ratio * calls + min_per_s * (t + 1), whatever the order."""

    def __init__(self, *, ratio: float, min_per_s: float, now: float) -> None:
        self._ratio = ratio
        self._min_per_s = min_per_s
        self._tokens = min_per_s
        self._counted_at = now

    def deposit(self, now: float) -> None:
        """A call is made."""
        self._tokens = min(self._settled(now) + self._ratio, self._most)

    def withdraw(self, now: float) -> bool:
        """Whether one retry may be made; if so, it is paid."""
        self._tokens = self._settled(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def resize(self, *, ratio: float, min_per_s: float, now: float) -> None:
        self._tokens = self._settled(now)
        self._ratio, self._min_per_s = ratio, min_per_s
        self._tokens = min(self._tokens, self._most)

    @property
    def _most(self) -> float:
        return self._min_per_s * _SAVED_S + self._ratio * _SAVED_CALLS

    def _settled(self, now: float) -> float:
        income = max(0.0, now - self._counted_at) * self._min_per_s
        self._counted_at = max(self._counted_at, now)
        return min(self._tokens + income, self._most)
