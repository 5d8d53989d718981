"""Sections of how requests and calls are taken, limited and tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from ecap.config.section import AT_START, LISTENER, Section


class Cors(Section):
    origins: tuple[str, ...] = Field((), description='allowed origins; "*" allows any')
    max_age_s: int = Field(
        600, ge=0, description="how long a browser may keep a preflight's answer"
    )


class Http(Section):
    host: Annotated[str, LISTENER] = Field(
        "127.0.0.1", description="address the front door listens on"
    )
    port: Annotated[int, LISTENER] = Field(
        8000, ge=1, le=65535, description="port the front door listens on"
    )
    max_body_bytes: int = Field(1 << 20, ge=1, description="a larger request body is refused")
    request_timeout_s: float = Field(
        10.0, gt=0, description="deadline of a request that names none"
    )
    max_request_timeout_s: float = Field(
        60.0, gt=0, description="longest deadline a request may ask for"
    )
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1/32", "::1/128"), description="peers whose X-Forwarded-For is believed"
    )
    gzip_min_bytes: int = Field(1024, ge=0, description="smaller answers are not compressed")
    cors: Cors = Cors()
    metrics_token: SecretStr | None = Field(
        None, description="bearer token of the Prometheus scraper; operators may read too"
    )


class Bucket(Section):
    rate_per_s: float = Field(gt=0, description="requests granted, sustained")
    burst: float = Field(ge=1, description="requests granted at once")


class Limits(Section):
    enabled: bool = Field(True, description="off: nothing is limited")
    address: Bucket = Bucket(rate_per_s=500, burst=1000)
    principal: Bucket = Bucket(rate_per_s=200, burst=400)
    credentials: Bucket = Field(
        Bucket(rate_per_s=5, burst=100), description="log in and register, per address"
    )
    lease_s: float = Field(2.0, gt=0, description="how long a replica may keep granted tokens")


class Breaker(Section):
    window_s: float = Field(10.0, gt=0, description="calls of this recent past are judged")
    min_calls: int = Field(20, ge=1, description="fewer calls say nothing")
    failure_ratio: float = Field(
        0.5, gt=0, le=1, description="opens when this part of the calls fails"
    )
    slow_call_s: float = Field(1.0, gt=0, description="a call is slow from this on")
    slow_ratio: float = Field(
        0.8, gt=0, le=1, description="opens when this part of the calls is slow"
    )
    open_s: float = Field(5.0, gt=0, description="no calls for this long, then probes")
    probes: int = Field(3, ge=1, description="calls let through to see whether it is well again")


class CallPolicySettings(Section):
    timeout_s: float = Field(2.0, gt=0, description="of a call, retries included")
    attempts: int = Field(3, ge=1, description="of one call, the first included")
    backoff_s: float = Field(0.02, gt=0, description="before the second attempt; doubles")
    backoff_max_s: float = Field(0.5, gt=0, description="longest wait between attempts")
    retry_ratio: float = Field(0.2, ge=0, description="retries allowed per call, on average")
    retry_min_per_s: float = Field(1.0, ge=0, description="retries allowed whatever the ratio")
    max_concurrency: int = Field(64, ge=1, description="calls under way at once")
    max_queue: int = Field(128, ge=0, description="calls that wait for their turn; more are shed")
    breaker: Breaker = Breaker()


class Mesh(Section):
    service_key: SecretStr | None = Field(None, description="signs service identity tokens")
    socket_dir: Annotated[Path | None, AT_START] = Field(
        None,
        description="folder of the actors' sockets, made 0700; unset: all calls go through Ray",
    )
    default: CallPolicySettings = CallPolicySettings()
    callees: dict[str, CallPolicySettings] = Field({}, description="by the name of the callee")
