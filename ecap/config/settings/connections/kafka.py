"""The broker."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from ecap.config.settings.addresses import Servers
from ecap.config.settings.section import Section


class Kafka(Section):
    bootstrap_servers: Servers | None = Field(None, description="unset: `ecap up` starts a broker")
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
