"""How calls to services and actors are made and tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from ecap.config.settings.section import AT_START, Section


class Breaker(Section):
    window_s: float = Field(10.0, ge=1, le=600, description="calls of this recent past are judged")
    min_calls: int = Field(20, ge=1, le=100_000, description="fewer calls say nothing")
    failure_ratio: float = Field(
        0.5, ge=0.05, le=1, description="opens when this part of the calls fails"
    )
    slow_call_s: float = Field(1.0, ge=0.01, le=60, description="a call is slow from this on")
    slow_ratio: float = Field(
        0.8, ge=0.05, le=1, description="opens when this part of the calls is slow"
    )
    open_s: float = Field(5.0, ge=0.1, le=60, description="no calls for this long, then probes")
    probes: int = Field(
        3, ge=1, le=100, description="calls let through to see whether it is well again"
    )


class CallPolicySettings(Section):
    timeout_s: float = Field(2.0, ge=0.05, le=60, description="of a call, retries included")
    attempts: int = Field(3, ge=1, le=10, description="of one call, the first included")
    backoff_s: float = Field(
        0.02, ge=0.001, le=10, description="before the second attempt; doubles"
    )
    backoff_max_s: float = Field(0.5, ge=0.01, le=60, description="longest wait between attempts")
    retry_ratio: float = Field(0.2, ge=0, le=1, description="retries allowed per call, on average")
    retry_min_per_s: float = Field(
        1.0, ge=0, le=1000, description="retries allowed whatever the ratio"
    )
    max_concurrency: int = Field(64, ge=1, le=10_000, description="calls under way at once")
    max_queue: int = Field(
        128, ge=0, le=100_000, description="calls that wait for their turn; more are shed"
    )
    breaker: Breaker = Breaker()


class Mesh(Section):
    service_key: SecretStr | None = Field(None, description="signs service identity tokens")
    socket_dir: Annotated[Path | None, AT_START] = Field(
        None,
        description="folder of the actors' sockets, made 0700; unset: all calls go through Ray",
    )
    default: CallPolicySettings = CallPolicySettings()
    callees: dict[str, CallPolicySettings] = Field({}, description="by the name of the callee")
