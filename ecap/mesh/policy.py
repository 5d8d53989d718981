"""How calls to one callee are made. Every value can change while calls are in flight."""

from __future__ import annotations

from dataclasses import dataclass

from ecap.config.settings.mesh import CallPolicySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """Opens when, of at least `min_calls` in the last `window_s`, too many failed or were slow."""

    window_s: float = 10.0
    min_calls: int = 20
    failure_ratio: float = 0.5
    slow_call_s: float = 1.0
    slow_ratio: float = 0.8
    open_s: float = 5.0
    probes: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPolicy:
    """`timeout_s` bounds one attempt; the caller's deadline bounds the call.

    `attempts` counts the first. Back-off before attempt n+1 is drawn evenly from
    zero to `backoff_s * 2**(n-1)`, at most `backoff_max_s` (full jitter). Retries may
    be `retry_ratio` of the calls, and `retry_min_per_s` on top for a quiet caller.
    `idempotent` says what is assumed of a call that does not say it itself.
    """

    timeout_s: float = 2.0
    attempts: int = 3
    backoff_s: float = 0.02
    backoff_max_s: float = 0.5
    idempotent: bool = False
    retry_ratio: float = 0.2
    retry_min_per_s: float = 1.0
    max_concurrency: int = 64
    max_queue: int = 128
    breaker: BreakerPolicy = BreakerPolicy()

    @classmethod
    def from_settings(cls, settings: CallPolicySettings, *, idempotent: bool = False) -> CallPolicy:
        values = settings.model_dump()
        breaker = BreakerPolicy(**values.pop("breaker"))
        return cls(**values, idempotent=idempotent, breaker=breaker)
