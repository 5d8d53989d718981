"""How requests are taken."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from ecap.config.settings.section import LISTENER, Section


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
    hsts_max_age_s: int = Field(
        0,
        ge=0,
        le=2 * 365 * 86400,
        description="browsers come by HTTPS alone for so long; 0: this is not said",
    )
    gzip_min_bytes: int = Field(1024, ge=0, description="smaller answers are not compressed")
    cors: Cors = Cors()
    metrics_token: SecretStr | None = Field(
        None, description="bearer token of the Prometheus scraper; operators may read too"
    )
