"""How requests are taken."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from ecap.config.settings.addresses import Host, Network, Origin
from ecap.config.settings.section import LISTENER, Section


class Cors(Section):
    origins: tuple[Origin, ...] = Field((), description='allowed origins; "*" allows any')
    max_age_s: int = Field(
        600, ge=0, le=86400, description="how long a browser may keep a preflight's answer"
    )


class Http(Section):
    host: Annotated[Host, LISTENER] = Field(
        "127.0.0.1", description="address the front door listens on"
    )
    port: Annotated[int, LISTENER] = Field(
        8000, ge=1, le=65535, description="port the front door listens on"
    )
    max_body_bytes: int = Field(
        1 << 20, ge=16 << 10, le=64 << 20, description="a larger request body is refused"
    )
    request_timeout_s: float = Field(
        10.0, ge=0.5, le=600, description="deadline of a request that names none"
    )
    max_request_timeout_s: float = Field(
        60.0, ge=1, le=3600, description="longest deadline a request may ask for"
    )
    trusted_proxies: tuple[Network, ...] = Field(
        ("127.0.0.1/32", "::1/128"), description="peers whose X-Forwarded-For is believed"
    )
    hsts_max_age_s: int = Field(
        0,
        ge=0,
        le=2 * 365 * 86400,
        description="browsers come by HTTPS alone for so long; 0: this is not said",
    )
    gzip_min_bytes: int = Field(
        1024, ge=0, le=64 << 20, description="smaller answers are not compressed"
    )
    cors: Cors = Cors()
    metrics_token: SecretStr | None = Field(
        None, description="bearer token of the Prometheus scraper; operators may read too"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.request_timeout_s > self.max_request_timeout_s:
            raise ValueError("request_timeout_s is above max_request_timeout_s")
        return self
