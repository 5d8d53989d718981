"""Growing pauses between attempts."""

from __future__ import annotations

import random


class Backoff:
    """Full jitter over a doubling ceiling, so that many who failed together part."""

    def __init__(self, *, first_s: float, cap_s: float, rng: random.Random | None = None) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._rng = rng or random.Random()  # noqa: S311  spreads load, guards nothing
        self.failures = 0

    def next_s(self) -> float:
        """At least half of the ceiling: a pause near zero would be a busy loop."""
        ceiling = min(self._cap_s, self._first_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return ceiling * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        self.failures = 0
