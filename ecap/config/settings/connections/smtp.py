"""The mail server."""

from __future__ import annotations

from pydantic import Field, SecretStr

from ecap.config.settings.addresses import Email, Host
from ecap.config.settings.section import Section


class Smtp(Section):
    host: Host | None = Field(None, description="unset: `ecap up` starts a local mail sink")
    port: int = Field(587, ge=1, le=65535, description="port of the mail server")
    sender: Email = Field("orders@ecap.example", description="address the mails come from")
    username: str | None = Field(None, description="user to log in as; unset: none")
    password: SecretStr | None = Field(None, description="its password")
    starttls: bool = Field(True, description="insist on TLS")
    timeout_s: float = Field(10.0, ge=0.1, le=120, description="of one delivery")
