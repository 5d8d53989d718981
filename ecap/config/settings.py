"""The settings tree: one frozen model, units in the names, unknown keys refused.

Values come from the layers in `ecap.config.layers`. Fields typed `SecretStr`
hold a secret; in files they are written as references (`vault:path#key`,
`file:/path`), never as values.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from ecap.config.control import Hub, Keyring, Kubernetes, Vault
from ecap.config.section import (
    AT_START,
    CONNECTION,
    LISTENER,
    PARTITIONS,
    REPLICA,
    Section,
)

ServiceName = Literal[
    "gateway", "auth", "users", "catalog", "orders", "analytics", "fraud", "notifications"
]
PipelineName = Literal["fraud", "analytics", "notifications", "users", "inventory", "availability"]


class Log(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    style: Annotated[Literal["auto", "json", "terminal"], AT_START] = Field(
        "auto", description="auto: readable on a terminal, JSON lines elsewhere"
    )


class Cors(Section):
    origins: tuple[str, ...] = Field((), description='allowed origins; "*" allows any')
    max_age_s: int = Field(600, ge=0)


class Http(Section):
    host: Annotated[str, LISTENER] = Field(
        "127.0.0.1", description="address the front door listens on"
    )
    port: Annotated[int, LISTENER] = Field(8000, ge=1, le=65535)
    max_body_bytes: int = Field(1 << 20, ge=1)
    request_timeout_s: float = Field(
        10.0, gt=0, description="deadline of a request that names none"
    )
    max_request_timeout_s: float = Field(60.0, gt=0)
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1/32", "::1/128"), description="peers whose X-Forwarded-For is believed"
    )
    gzip_min_bytes: int = Field(1024, ge=0)
    cors: Cors = Cors()
    metrics_token: SecretStr | None = Field(
        None, description="bearer token of the Prometheus scraper; operators may read too"
    )


class Postgres(Section):
    host: Annotated[str | None, CONNECTION] = Field(
        None, description="unset: `ecap up` starts an embedded server"
    )
    port: Annotated[int, CONNECTION] = Field(5432, ge=1, le=65535)
    database: Annotated[str, CONNECTION] = "ecap"
    user: str = "ecap"
    password: SecretStr | None = None
    sslmode: Annotated[Literal["disable", "prefer", "require", "verify-full"], CONNECTION] = (
        "prefer"
    )
    pool_min_size: int = Field(1, ge=0)
    pool_max_size: int = Field(8, ge=1)
    acquire_timeout_s: float = Field(2.0, gt=0)
    statement_timeout_s: float = Field(10.0, gt=0)
    connection_max_age_s: float = Field(3600.0, gt=0)


class Kafka(Section):
    bootstrap_servers: str | None = Field(None, description="unset: `ecap up` starts a broker")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    idempotent_producer: bool = Field(True, description="off for brokers without producer ids")
    compression: Literal["none", "gzip", "lz4"] = "lz4"
    replication_factor: int = Field(3, ge=1)
    min_insync_replicas: int = Field(2, ge=1)
    retention_s: int = Field(7 * 86400, ge=60)


class Smtp(Section):
    host: str | None = Field(None, description="unset: `ecap up` starts a local mail sink")
    port: int = Field(587, ge=1, le=65535)
    sender: str = "orders@ecap.example"
    username: str | None = None
    password: SecretStr | None = None
    starttls: bool = True
    timeout_s: float = Field(10.0, gt=0)


class Webhook(Section):
    url: str | None = Field(None, description="receiver of signed order notifications; unset: none")
    signing_key: SecretStr | None = None
    timeout_s: float = Field(5.0, gt=0)


class Auth(Section):
    issuer: str = "ecap"
    audience: str = "ecap"
    access_ttl_s: int = Field(900, ge=30)
    refresh_ttl_s: int = Field(30 * 86400, ge=60)
    signing_key_ttl_s: int = Field(30 * 86400, ge=3600, description="a new signing key after this")
    keyring: tuple[SecretStr, ...] = Field(
        (), description="Fernet keys that wrap the signing keys at rest; the first one encrypts"
    )
    argon2_memory_kib: int = Field(19456, ge=8192, description="OWASP minimum 19 MiB")
    argon2_iterations: int = Field(2, ge=1)
    jwks_url: str | None = Field(None, description="unset: the auth service behind the front door")
    clock_skew_s: float = Field(5.0, ge=0)
    admin_email: str | None = None
    admin_password: SecretStr | None = Field(None, description="creates the first administrator")


class Bucket(Section):
    rate_per_s: float = Field(gt=0)
    burst: float = Field(ge=1)


class Limits(Section):
    enabled: bool = True
    address: Bucket = Bucket(rate_per_s=500, burst=1000)
    principal: Bucket = Bucket(rate_per_s=200, burst=400)
    credentials: Bucket = Field(
        Bucket(rate_per_s=5, burst=100), description="log in and register, per address"
    )
    lease_s: float = Field(2.0, gt=0, description="how long a replica may keep granted tokens")


class Breaker(Section):
    window_s: float = Field(10.0, gt=0)
    min_calls: int = Field(20, ge=1)
    failure_ratio: float = Field(0.5, gt=0, le=1)
    slow_call_s: float = Field(1.0, gt=0)
    slow_ratio: float = Field(0.8, gt=0, le=1)
    open_s: float = Field(5.0, gt=0)
    probes: int = Field(3, ge=1)


class CallPolicySettings(Section):
    timeout_s: float = Field(2.0, gt=0)
    attempts: int = Field(3, ge=1)
    backoff_s: float = Field(0.02, gt=0)
    backoff_max_s: float = Field(0.5, gt=0)
    retry_ratio: float = Field(0.2, ge=0, description="retries allowed per call, on average")
    retry_min_per_s: float = Field(1.0, ge=0)
    max_concurrency: int = Field(64, ge=1)
    max_queue: int = Field(128, ge=0)
    breaker: Breaker = Breaker()


class Mesh(Section):
    service_key: SecretStr | None = Field(None, description="signs service identity tokens")
    default: CallPolicySettings = CallPolicySettings()
    callees: dict[str, CallPolicySettings] = Field({}, description="by the name of the callee")


class Orders(Section):
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$")
    decision_timeout_s: float = Field(0.25, gt=0, description="then the order goes to review")
    max_lines: int = Field(50, ge=1)
    max_quantity: int = Field(100, ge=1)
    idempotency_ttl_s: int = Field(86400, ge=60)


class Fraud(Section):
    provisional_ttl_s: float = Field(30.0, gt=0)
    review_score: int = Field(50, ge=1, le=100)
    deny_score: int = Field(80, ge=1, le=100)
    amount_review: Decimal = Decimal("2000.00")
    amount_deny: Decimal = Decimal("10000.00")
    velocity_window_s: int = Field(60, ge=1)
    velocity_count: int = Field(6, ge=1)
    spend_window_s: int = Field(3600, ge=1)
    spend_amount: Decimal = Decimal("5000.00")
    card_window_s: int = Field(600, ge=1)
    card_count: int = Field(3, ge=2, description="different cards of one user in the window")
    card_small_amount: Decimal = Decimal("10.00")
    travel_kmh: float = Field(900.0, gt=0)
    travel_min_km: float = Field(100.0, ge=0)
    takeover_amount: Decimal = Field(
        Decimal("200.00"), description="from a new device with a new card: account take-over"
    )
    lateness_s: int = Field(
        300, ge=0, description="a transaction may be this late and still be scored exactly"
    )


class Stream(Section):
    batch_max_events: int = Field(2000, ge=1)
    fetch_wait_s: float = Field(
        0.1, gt=0, description="how long a fetch waits for events; bounds the idle load"
    )
    lease_ttl_s: float = Field(6.0, gt=0)
    heartbeat_s: float = Field(1.0, gt=0)
    snapshot_every_s: float = Field(30.0, gt=0)
    late_after_s: int = Field(86400, ge=0, description="older events are counted and marked late")
    shards: Annotated[dict[PipelineName, int], PARTITIONS] = Field(
        {"fraud": 1}, description="actors of a pipeline that does not share one"
    )
    shared: Annotated[tuple[PipelineName, ...], PARTITIONS] = Field(
        ("analytics", "notifications", "users", "inventory", "availability"),
        description="pipelines that share one actor",
    )


class Outbox(Section):
    batch_max_events: int = Field(2000, ge=1)
    poll_min_s: float = Field(0.01, gt=0)
    poll_max_s: float = Field(0.1, gt=0)
    audit_every_s: float = Field(
        5.0, gt=0, description="compare broker end offsets with what was sent"
    )
    retention_s: int = Field(7 * 86400, ge=60)


class Notifications(Section):
    poll_s: float = Field(0.2, gt=0)
    batch: int = Field(50, ge=1)
    concurrency: int = Field(8, ge=1, description="deliveries under way at once, per worker")
    max_attempts: int = Field(8, ge=1)
    backoff_s: float = Field(1.0, gt=0)
    backoff_max_s: float = Field(300.0, gt=0)
    claim_s: float = Field(
        30.0, gt=0, description="a claim of a dead worker is free again after this"
    )


class Telemetry(Section):
    otlp_endpoint: str | None = Field(None, description="OTLP/HTTP collector; unset: no export")
    sample_ratio: float = Field(1.0, ge=0, le=1)


class Deployment(Section):
    """Ray Serve options of one service."""

    min_replicas: int = Field(1, ge=0)
    max_replicas: int = Field(4, ge=1)
    target_ongoing_requests: float = Field(32, gt=0)
    max_ongoing_requests: int = Field(128, ge=1)
    upscale_delay_s: float = Field(5.0, ge=0)
    downscale_delay_s: float = Field(60.0, ge=0)
    num_cpus: Annotated[float, REPLICA] = Field(0.1, ge=0)
    graceful_shutdown_timeout_s: float = Field(10.0, gt=0)
    health_check_period_s: float = Field(5.0, gt=0)


class Services(Section):
    gateway: Deployment = Deployment()
    auth: Deployment = Deployment()
    users: Deployment = Deployment()
    catalog: Deployment = Deployment()
    orders: Deployment = Deployment()
    analytics: Deployment = Deployment()
    fraud: Deployment = Deployment()
    notifications: Deployment = Deployment()


class Settings(Section):
    environment: Annotated[Literal["development", "staging", "production"], AT_START] = (
        "development"
    )
    state_dir: Annotated[Path, AT_START] = Path(".ecap")
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
    flags: dict[str, bool] = Field({}, description="switches of features, by name")
