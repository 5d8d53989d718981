"""How long a request may take, and whose fault it is when that was not enough.

A deadline that passes is our failure, 504, where we had the time that is configured, or
what the caller asked for and can be called time. It is the caller's, 408, where he asked
for less, or took it himself by sending his body slowly: nobody outside may make failures
of ours, which raise alerts and undo canaries.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ecap.errors import DeadlineExceeded, EcapError, Malformed, Retryable, TooSlow

_HEADER = b"x-request-timeout"
# With less for us, what was not done in time is no failure of ours. It is the time that
# 99 of 100 requests keep, or the alert EcapSlow says so.
_ENOUGH_S = 1.0
# A body that arrives sooner has not trickled.
_TRICKLES_S = 0.1


class Deadline:
    """Begins to run when it is made. `own_s` holds where the caller names none, and `most_s`
    is the longest he may name. Raises Malformed for what is no time."""

    __slots__ = ("_enough_s", "_hasty", "_waited_s", "_whole", "at", "timeout_s")

    def __init__(self, headers: Mapping[bytes, bytes], *, own_s: float, most_s: float) -> None:
        given = headers.get(_HEADER)
        self.timeout_s = own_s if given is None else min(_seconds(given), most_s)
        self.at = time.monotonic() + self.timeout_s
        # What is configured below a second was meant so.
        self._enough_s = min(_ENOUGH_S, own_s / 2)
        self._hasty = given is not None and self.timeout_s < self._enough_s
        self._waited_s = 0.0
        self._whole = True

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Around the wait for the body."""
        begun = time.monotonic()
        self._whole = False
        try:
            yield
            self._whole = True
        finally:
            self._waited_s = time.monotonic() - begun

    def passed(self) -> EcapError:
        """What to answer when it has passed."""
        if self._trickled and not self._whole:
            return TooSlow(f"the body was not whole within {self.timeout_s:g} s")
        if self._hasty or self._trickled:
            detail = f"not done within {self.timeout_s:g} s; {self._enough_s:g} s may be enough"
            return TooSlow(detail)
        return DeadlineExceeded(f"not done within {self.timeout_s:g} s")

    def made(self, error: Retryable) -> bool:
        """Whether the caller made it: calls further down have what is left of his time."""
        over = isinstance(error, DeadlineExceeded) or time.monotonic() >= self.at
        return over and (self._hasty or self._trickled)

    @property
    def _trickled(self) -> bool:
        """Whether waiting for the body left us too little."""
        if self._waited_s < _TRICKLES_S:
            return False
        return not self._whole or self.timeout_s - self._waited_s < self._enough_s


def _seconds(given: bytes) -> float:
    try:
        wanted = float(given)
    except ValueError as exc:
        raise Malformed("X-Request-Timeout is a number of seconds") from exc
    if not 0 < wanted < float("inf"):
        raise Malformed("X-Request-Timeout has to be above zero")
    return wanted
