"""The database."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from ecap.config.settings.addresses import Host
from ecap.config.settings.section import CONNECTION, Section


class Postgres(Section):
    host: Annotated[Host | None, CONNECTION] = Field(
        None, description="unset: `ecap up` starts an embedded server"
    )
    port: Annotated[int, CONNECTION] = Field(5432, ge=1, le=65535, description="port of the server")
    database: Annotated[str, CONNECTION] = Field("ecap", description="name of the database")
    user: str = Field("ecap", description="user to log in as")
    password: SecretStr | None = Field(
        None, description="its password; leased users bring their own"
    )
    lease_generation: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="changed, every process with a leased user takes a new one at once",
    )
    sslmode: Annotated[Literal["disable", "prefer", "require", "verify-full"], CONNECTION] = Field(
        "prefer", description="how much TLS is asked for"
    )
    pool_max_size: int = Field(8, ge=1, le=500, description="connections at most, per pool")
    acquire_timeout_s: float = Field(
        2.0, ge=0.05, le=60, description="wait for a connection, then the request is refused"
    )
    statement_timeout_s: float = Field(
        10.0, ge=0.5, le=600, description="longest run of one statement"
    )
    connection_max_age_s: float = Field(
        3600.0, ge=1, le=86400, description="an idle connection is closed after this"
    )
