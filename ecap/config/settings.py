"""The settings tree: one frozen model, units in the names, unknown keys refused.

Values come from the layers in `ecap.config.layers`. Fields typed `SecretStr`
hold a secret; in files they are written as references (`vault:path#key`,
`file:/path`), never as values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ecap.config.control import Hub, Keyring, Kubernetes, Vault
from ecap.config.flags import Flag
from ecap.config.infrastructure import Kafka, Log, Postgres, Smtp, Telemetry, Webhook
from ecap.config.section import AT_START, CONNECTION, Section
from ecap.config.services import Auth, Fraud, Notifications, Orders, Services
from ecap.config.streams import Outbox, Stream
from ecap.config.traffic import Http, Limits, Mesh


class Settings(Section):
    environment: Annotated[Literal["development", "staging", "production"], AT_START] = Field(
        "development", description="which file of `configs/` is read after base.yaml"
    )
    state_dir: Annotated[Path, AT_START] = Field(
        Path(".ecap"), description="folder of what runs locally"
    )
    log: Log = Log()
    http: Http = Http()
    postgres: Postgres = Postgres()
    kafka: Annotated[Kafka, CONNECTION] = Kafka()
    vault: Annotated[Vault, CONNECTION] = Vault()
    kubernetes: Annotated[Kubernetes, CONNECTION] = Kubernetes()
    keyring: Annotated[Keyring, AT_START] = Keyring()
    hub: Hub = Hub()
    smtp: Smtp = Smtp()
    webhook: Webhook = Webhook()
    auth: Auth = Auth()
    limits: Limits = Limits()
    mesh: Mesh = Mesh()
    orders: Orders = Orders()
    fraud: Fraud = Fraud()
    stream: Stream = Stream()
    outbox: Outbox = Outbox()
    notifications: Notifications = Notifications()
    telemetry: Telemetry = Telemetry()
    services: Services = Services()
    flags: dict[str, Flag] = Field(
        {}, description="true, false or a share of the users, as 25%; `checkout`: new orders"
    )
