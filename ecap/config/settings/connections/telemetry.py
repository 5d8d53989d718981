"""The collector of spans."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ecap.config.settings.addresses import Url
from ecap.config.settings.section import CONNECTION, Section


class Telemetry(Section):
    otlp_endpoint: Annotated[Url | None, CONNECTION] = Field(
        None, description="OTLP/HTTP collector; unset: no export"
    )
    sample_ratio: float = Field(1.0, ge=0, le=1, description="part of the traces that is exported")
