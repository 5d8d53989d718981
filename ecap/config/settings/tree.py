"""The settings tree: one frozen model, units in the names, unknown keys refused.

Values come from the layers in `ecap.config.layers.layer`. Fields typed `SecretStr`
hold a secret; in files they are written as references (`vault:path#key`,
`file:/path`), never as values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ecap.config.settings.audit import Audit
from ecap.config.settings.connections.kafka import Kafka
from ecap.config.settings.connections.kubernetes import Kubernetes
from ecap.config.settings.connections.postgres import Postgres
from ecap.config.settings.connections.smtp import Smtp
from ecap.config.settings.connections.telemetry import Telemetry
from ecap.config.settings.connections.vault import Vault
from ecap.config.settings.connections.webhook import Webhook
from ecap.config.settings.flags import Flag, FlagName
from ecap.config.settings.http import Http
from ecap.config.settings.hub import Hub
from ecap.config.settings.keyring import Keyring
from ecap.config.settings.limits import Limits
from ecap.config.settings.log import Log
from ecap.config.settings.mesh import Mesh
from ecap.config.settings.outbox import Outbox
from ecap.config.settings.secrets import Secrets
from ecap.config.settings.section import AT_START, CONNECTION, Section
from ecap.config.settings.services.auth import Auth
from ecap.config.settings.services.deployments import Services
from ecap.config.settings.services.fraud import Fraud
from ecap.config.settings.services.notifications import Notifications
from ecap.config.settings.services.orders import Orders
from ecap.config.settings.stream import Stream


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
    secrets: Secrets = Secrets()
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
    audit: Audit = Audit()
    telemetry: Telemetry = Telemetry()
    services: Services = Services()
    flags: dict[FlagName, Flag] = Field(
        {}, description="true, false or a share of the users, as 25%; `checkout`: new orders"
    )
