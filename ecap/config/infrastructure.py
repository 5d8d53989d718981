"""Sections of the systems that ECAP connects to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from ecap.config.section import AT_START, CONNECTION, Section


class Log(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="the least important lines that are written"
    )
    style: Annotated[Literal["auto", "json", "terminal"], AT_START] = Field(
        "auto", description="auto: readable on a terminal, JSON lines elsewhere"
    )


class Postgres(Section):
    host: Annotated[str | None, CONNECTION] = Field(
        None, description="unset: `ecap up` starts an embedded server"
    )
    port: Annotated[int, CONNECTION] = Field(5432, ge=1, le=65535, description="port of the server")
    database: Annotated[str, CONNECTION] = Field("ecap", description="name of the database")
    user: str = Field("ecap", description="user to log in as")
    password: SecretStr | None = Field(
        None, description="its password; leased users bring their own"
    )
    lease_generation: int = Field(
        0, ge=0, description="changed, every process with a leased user takes a new one at once"
    )
    sslmode: Annotated[Literal["disable", "prefer", "require", "verify-full"], CONNECTION] = Field(
        "prefer", description="how much TLS is asked for"
    )
    pool_max_size: int = Field(8, ge=1, description="connections at most, per pool")
    acquire_timeout_s: float = Field(
        2.0, gt=0, description="wait for a connection, then the request is refused"
    )
    statement_timeout_s: float = Field(10.0, gt=0, description="longest run of one statement")
    connection_max_age_s: float = Field(
        3600.0, gt=0, description="an idle connection is closed after this"
    )


class Kafka(Section):
    bootstrap_servers: str | None = Field(None, description="unset: `ecap up` starts a broker")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT"] = Field(
        "PLAINTEXT", description="TLS and log-in of the brokers"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = (
        Field(None, description="how to log in; OAUTHBEARER: to MSK, with the pod's AWS role")
    )
    sasl_username: str | None = Field(None, description="user to log in as")
    sasl_password: SecretStr | None = Field(None, description="its password")
    aws_region: str | None = Field(
        None,
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$",
        description="OAUTHBEARER: the region of the brokers",
    )
    ssl_cafile: Path | None = Field(None, description="CA that signed the brokers' certificates")
    idempotent_producer: bool = Field(True, description="off for brokers without producer ids")
    compression: Literal["none", "gzip", "lz4"] = Field(
        "lz4", description="codec of produced batches"
    )
    replication_factor: int = Field(3, ge=1, description="copies of each partition of new topics")
    min_insync_replicas: int = Field(2, ge=1, description="copies that have to confirm a write")
    retention_s: int = Field(7 * 86400, ge=60, description="how long topics keep events")


class Smtp(Section):
    host: str | None = Field(None, description="unset: `ecap up` starts a local mail sink")
    port: int = Field(587, ge=1, le=65535, description="port of the mail server")
    sender: str = Field("orders@ecap.example", description="address the mails come from")
    username: str | None = Field(None, description="user to log in as; unset: none")
    password: SecretStr | None = Field(None, description="its password")
    starttls: bool = Field(True, description="insist on TLS")
    timeout_s: float = Field(10.0, gt=0, description="of one delivery")


class Webhook(Section):
    url: str | None = Field(None, description="receiver of signed order notifications; unset: none")
    signing_key: SecretStr | None = Field(None, description="signs the body of each notification")
    timeout_s: float = Field(5.0, gt=0, description="of one delivery")


class Telemetry(Section):
    otlp_endpoint: Annotated[str | None, CONNECTION] = Field(
        None, description="OTLP/HTTP collector; unset: no export"
    )
    sample_ratio: float = Field(1.0, ge=0, le=1, description="part of the traces that is exported")
