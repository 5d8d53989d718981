"""The receiver of signed order notifications."""

from __future__ import annotations

from pydantic import Field, SecretStr

from ecap.config.settings.addresses import SafeUrl
from ecap.config.settings.section import Section


class Webhook(Section):
    url: SafeUrl | None = Field(
        None, description="receiver of signed order notifications; unset: none"
    )
    signing_key: SecretStr | None = Field(None, description="signs the body of each notification")
    timeout_s: float = Field(5.0, ge=0.1, le=120, description="of one delivery")
