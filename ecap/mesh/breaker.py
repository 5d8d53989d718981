"""A circuit breaker: stop calling what keeps failing, and find out gently when it is back.

Closed: outcomes of the last `window_s` are judged at each answer. Open: nothing
passes for `open_s`. Half open: at most `probes` calls pass; the first bad one opens
again, `probes` good ones close. Outcomes of calls admitted before the last change
of state say nothing about the present and are ignored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum

from ecap.mesh.policy import BreakerPolicy

# Bounds memory at high rates: by then a shorter time is sample enough.
_MOST_OUTCOMES = 1000


class State(IntEnum):
    """The values are those of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitBreaker:
    """Time is passed in and may be any monotonic clock. Not for use across threads."""

    def __init__(self, policy: BreakerPolicy, *, on_change: Callable[[State, State], None]) -> None:
        self._policy = policy
        self._on_change = on_change
        self._state = State.CLOSED
        self._epoch = 0
        self._outcomes: deque[tuple[float, bool, bool]] = deque()
        self._failed = 0
        self._slow = 0
        self._open_until = 0.0
        self._probing = 0
        self._probed = 0

    @property
    def state(self) -> State:
        return self._state

    def retry_after_s(self, now: float) -> float:
        """0 when a call would be admitted now, else the wait until it is worth asking again."""
        if self._state is State.OPEN:
            return max(0.0, self._open_until - now)
        if self._state is State.HALF_OPEN and not self._probe_free:
            return self._policy.open_s
        return 0.0

    def admit(self, now: float) -> int | None:
        """A ticket to hand back to `record` or `forget`, or None: do not call."""
        if self._state is State.OPEN and now >= self._open_until:
            self._become(State.HALF_OPEN)
        if self._state is State.HALF_OPEN and self._probe_free:
            self._probing += 1
            return self._epoch
        return self._epoch if self._state is State.CLOSED else None

    def record(self, ticket: int, now: float, *, failed: bool, duration_s: float) -> None:
        if ticket != self._epoch:
            return
        slow = duration_s >= self._policy.slow_call_s
        if self._state is State.HALF_OPEN:
            self._judge_probe(now, bad=failed or slow)
        else:
            self._judge_window(now, failed=failed, slow=slow)

    def forget(self, ticket: int) -> None:
        """The call told nothing about the callee (cancelled, or shed by it)."""
        # Its place as a probe is free again. Lost, it would keep the circuit half open for ever: no
        # call would pass, and none would be judged.
        if ticket == self._epoch and self._state is State.HALF_OPEN:
            self._probing -= 1

    def reconfigure(self, policy: BreakerPolicy) -> None:
        """Keeps state and outcomes; an open circuit stays open as long as it was told to."""
        self._policy = policy
        # When fewer probes are wanted than have succeeded, no other is let through to close it.
        if self._state is State.HALF_OPEN and self._probed >= policy.probes:
            self._become(State.CLOSED)

    @property
    def _probe_free(self) -> bool:
        return self._probing + self._probed < self._policy.probes

    def _judge_probe(self, now: float, *, bad: bool) -> None:
        self._probing -= 1
        if bad:
            self._open(now)
            return
        self._probed += 1
        if self._probed >= self._policy.probes:
            self._become(State.CLOSED)

    def _judge_window(self, now: float, *, failed: bool, slow: bool) -> None:
        self._outcomes.append((now, failed, slow))
        self._failed += failed
        self._slow += slow
        policy = self._policy
        most = max(_MOST_OUTCOMES, policy.min_calls)
        while len(self._outcomes) > most or self._outcomes[0][0] <= now - policy.window_s:
            _, old_failed, old_slow = self._outcomes.popleft()
            self._failed -= old_failed
            self._slow -= old_slow
        count = len(self._outcomes)
        if count >= policy.min_calls and (
            self._failed >= policy.failure_ratio * count or self._slow >= policy.slow_ratio * count
        ):
            self._open(now)

    def _open(self, now: float) -> None:
        self._open_until = now + self._policy.open_s
        self._become(State.OPEN)

    def _become(self, state: State) -> None:
        before, self._state = self._state, state
        self._epoch += 1
        self._outcomes.clear()
        self._failed = self._slow = self._probing = self._probed = 0
        self._on_change(before, state)
