"""The keys that protect secrets at rest."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from ecap.config.settings.section import Section


class Keyring(Section):
    """Where the Fernet keys are that protect secrets at rest."""

    source: Literal["none", "file", "environment", "vault"] = Field(
        "none", description="store of the keys"
    )
    file: Path | None = Field(None, description="file: the keyring, mode 0600")
    variable: str = Field("ECAP_KEYRING", description="environment: the variable that holds it")
    path: str = Field("ecap/keyring", description="vault: path of the secret")
    transit_key: str | None = Field(
        None, description="Vault transit key that wraps the keys; unset: stored as they are"
    )
    transit_mount: str = Field("transit", description="mount of the transit engine")
    max_age_s: int = Field(90 * 86400, ge=60, description="an older first key is reported")
    poll_s: float = Field(5.0, gt=0, description="between looks for changed keys")
    trust_s: float = Field(
        3600.0,
        gt=0,
        description="a process that could not look for this long encrypts no more,"
        " and a key is retired no sooner after the next took over",
    )

    @model_validator(mode="after")
    def _looked_in_time(self) -> Self:
        if self.trust_s < 2 * self.poll_s:
            raise ValueError("trust_s has to be at least two poll_s")
        return self
