"""Whether a failed attempt may be made again, and after which wait."""

from __future__ import annotations

from ecap.errors import DeadlineExceeded, EcapError, Overloaded, RateLimited, Refused, Retryable
from ecap.mesh.policy import CallPolicy
from ecap.mesh.transport import Unreached


def nothing_was_done(error: EcapError) -> bool:
    """Whether the callee certainly did not act on the request.

    An error with a `callee` fact was met by the callee's own call to somebody else
    and passed on: whatever it did before that call, it did.
    """
    return isinstance(error, Overloaded | RateLimited | Unreached) and "callee" not in error.facts


def failed_callee(error: EcapError) -> bool | None:
    """How the breaker should count an error; None: not at all.

    A refusal is a good answer to a bad request. Shedding is the callee protecting
    itself, and opening the circuit would turn part of an answer into none.
    """
    if isinstance(error, Refused):
        return False
    if isinstance(error, Overloaded | RateLimited):
        return None
    return True


def backoff_s(error: Retryable, policy: CallPolicy, *, attempt: int, random: float) -> float:
    """The wait after failed attempt number `attempt`, for `random` in [0, 1).

    What the callee asked for comes first, with the jitter on top: a crowd that was
    told the same wait must not come back together.
    """
    jitter_s = random * min(policy.backoff_max_s, policy.backoff_s * 2.0 ** min(attempt - 1, 60))
    # A timeout asks for no wait; its `retry_after_s` is advice to whoever gets it at last.
    asked_s = 0.0 if isinstance(error, DeadlineExceeded) else error.retry_after_s
    return asked_s + jitter_s
