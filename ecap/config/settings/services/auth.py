"""Accounts, passwords and tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from ecap.config.settings.addresses import Email, Url
from ecap.config.settings.section import CONNECTION, TOKENS, Section


class Auth(Section):
    issuer: Annotated[str, TOKENS] = Field("ecap", description="`iss` of access tokens")
    audience: Annotated[str, TOKENS] = Field("ecap", description="`aud` of access tokens")
    access_ttl_s: int = Field(900, ge=30, le=86400, description="life of an access token")
    refresh_ttl_s: int = Field(
        30 * 86400, ge=300, le=366 * 86400, description="life of a refresh token"
    )
    refresh_grace_s: float = Field(
        10.0,
        ge=0,
        le=60,
        description="a refresh token that comes again within this gets the same successor",
    )
    session_ttl_s: int = Field(
        90 * 86400,
        ge=300,
        le=366 * 86400,
        description="longest life of a session, however often it is refreshed",
    )
    revocation_poll_s: float = Field(
        0.4, ge=0.05, le=0.5, description="each replica asks whose access has ended"
    )
    revocation_trust_s: float = Field(
        10.0,
        ge=1,
        le=3600,
        description="without an answer for this long, writes to accounts are refused",
    )
    signing_key_ttl_s: int = Field(
        30 * 86400, ge=3600, le=366 * 86400, description="a new signing key after this"
    )
    argon2_memory_kib: int = Field(19456, ge=8192, le=1 << 20, description="OWASP minimum 19 MiB")
    argon2_iterations: int = Field(2, ge=1, le=20, description="passes over the memory")
    jwks_url: Annotated[Url | None, CONNECTION] = Field(
        None, description="unset: the auth service behind the front door"
    )
    clock_skew_s: float = Field(
        5.0, ge=0, le=300, description="tolerated between machines when tokens are checked"
    )
    free_guesses: int = Field(
        5, ge=1, le=100, description="wrong passwords of an address at an account before it waits"
    )
    guess_pause_max_s: float = Field(
        300.0, ge=1, le=3600, description="the longest wait after a wrong password"
    )
    admin_email: Email | None = Field(
        None, description="the first administrator; unset: none is created"
    )
    admin_password: SecretStr | None = Field(None, description="creates the first administrator")
