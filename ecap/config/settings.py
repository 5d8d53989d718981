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
from ecap.config.flags import Flag
from ecap.config.section import (
    AMOUNTS,
    AT_START,
    CONNECTION,
    LISTENER,
    PARTITIONS,
    REPLICA,
    TOKENS,
    Section,
)

ServiceName = Literal[
    "gateway", "auth", "users", "catalog", "orders", "analytics", "fraud", "notifications"
]
PipelineName = Literal["fraud", "analytics", "notifications", "users", "inventory", "availability"]
RuleCode = Literal[
    "amount_extreme",
    "card_testing",
    "impossible_travel",
    "amount_high",
    "velocity",
    "spend",
    "account_takeover",
    "new_device",
    "new_card",
]


class Log(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="the least important lines that are written"
    )
    style: Annotated[Literal["auto", "json", "terminal"], AT_START] = Field(
        "auto", description="auto: readable on a terminal, JSON lines elsewhere"
    )


class Cors(Section):
    origins: tuple[str, ...] = Field((), description='allowed origins; "*" allows any')
    max_age_s: int = Field(
        600, ge=0, description="how long a browser may keep a preflight's answer"
    )


class Http(Section):
    host: Annotated[str, LISTENER] = Field(
        "127.0.0.1", description="address the front door listens on"
    )
    port: Annotated[int, LISTENER] = Field(
        8000, ge=1, le=65535, description="port the front door listens on"
    )
    max_body_bytes: int = Field(1 << 20, ge=1, description="a larger request body is refused")
    request_timeout_s: float = Field(
        10.0, gt=0, description="deadline of a request that names none"
    )
    max_request_timeout_s: float = Field(
        60.0, gt=0, description="longest deadline a request may ask for"
    )
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1/32", "::1/128"), description="peers whose X-Forwarded-For is believed"
    )
    gzip_min_bytes: int = Field(1024, ge=0, description="smaller answers are not compressed")
    cors: Cors = Cors()
    metrics_token: SecretStr | None = Field(
        None, description="bearer token of the Prometheus scraper; operators may read too"
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


class Auth(Section):
    issuer: Annotated[str, TOKENS] = Field("ecap", description="`iss` of access tokens")
    audience: Annotated[str, TOKENS] = Field("ecap", description="`aud` of access tokens")
    access_ttl_s: int = Field(900, ge=30, le=86400, description="life of an access token")
    refresh_ttl_s: int = Field(30 * 86400, ge=60, description="life of a refresh token")
    signing_key_ttl_s: int = Field(30 * 86400, ge=3600, description="a new signing key after this")
    argon2_memory_kib: int = Field(19456, ge=8192, description="OWASP minimum 19 MiB")
    argon2_iterations: int = Field(2, ge=1, description="passes over the memory")
    jwks_url: Annotated[str | None, CONNECTION] = Field(
        None, description="unset: the auth service behind the front door"
    )
    clock_skew_s: float = Field(
        5.0, ge=0, le=300, description="tolerated between machines when tokens are checked"
    )
    admin_email: str | None = Field(
        None, description="the first administrator; unset: none is created"
    )
    admin_password: SecretStr | None = Field(None, description="creates the first administrator")


class Bucket(Section):
    rate_per_s: float = Field(gt=0, description="requests granted, sustained")
    burst: float = Field(ge=1, description="requests granted at once")


class Limits(Section):
    enabled: bool = Field(True, description="off: nothing is limited")
    address: Bucket = Bucket(rate_per_s=500, burst=1000)
    principal: Bucket = Bucket(rate_per_s=200, burst=400)
    credentials: Bucket = Field(
        Bucket(rate_per_s=5, burst=100), description="log in and register, per address"
    )
    lease_s: float = Field(2.0, gt=0, description="how long a replica may keep granted tokens")


class Breaker(Section):
    window_s: float = Field(10.0, gt=0, description="calls of this recent past are judged")
    min_calls: int = Field(20, ge=1, description="fewer calls say nothing")
    failure_ratio: float = Field(
        0.5, gt=0, le=1, description="opens when this part of the calls fails"
    )
    slow_call_s: float = Field(1.0, gt=0, description="a call is slow from this on")
    slow_ratio: float = Field(
        0.8, gt=0, le=1, description="opens when this part of the calls is slow"
    )
    open_s: float = Field(5.0, gt=0, description="no calls for this long, then probes")
    probes: int = Field(3, ge=1, description="calls let through to see whether it is well again")


class CallPolicySettings(Section):
    timeout_s: float = Field(2.0, gt=0, description="of a call, retries included")
    attempts: int = Field(3, ge=1, description="of one call, the first included")
    backoff_s: float = Field(0.02, gt=0, description="before the second attempt; doubles")
    backoff_max_s: float = Field(0.5, gt=0, description="longest wait between attempts")
    retry_ratio: float = Field(0.2, ge=0, description="retries allowed per call, on average")
    retry_min_per_s: float = Field(1.0, ge=0, description="retries allowed whatever the ratio")
    max_concurrency: int = Field(64, ge=1, description="calls under way at once")
    max_queue: int = Field(128, ge=0, description="calls that wait for their turn; more are shed")
    breaker: Breaker = Breaker()


class Mesh(Section):
    service_key: SecretStr | None = Field(None, description="signs service identity tokens")
    default: CallPolicySettings = CallPolicySettings()
    callees: dict[str, CallPolicySettings] = Field({}, description="by the name of the callee")


class Orders(Section):
    currency: Annotated[str, AMOUNTS] = Field(
        "USD", pattern=r"^[A-Z]{3}$", description="of all amounts, ISO 4217"
    )
    decision_timeout_s: float = Field(0.25, gt=0, description="then the order goes to review")
    max_lines: int = Field(50, ge=1, description="products in one order")
    max_quantity: int = Field(100, ge=1, description="pieces of one product")
    idempotency_ttl_s: int = Field(
        86400, ge=60, description="how long an answer can be replayed by its key"
    )


class Fraud(Section):
    provisional_ttl_s: float = Field(
        30.0, gt=0, description="a decision counts this long without its event"
    )
    review_score: int = Field(50, ge=1, le=100, description="from this score an order is reviewed")
    deny_score: int = Field(80, ge=1, le=100, description="from this score an order is denied")
    amount_review: Decimal = Field(
        Decimal("2000.00"), description="an order of this amount is reviewed"
    )
    amount_deny: Decimal = Field(
        Decimal("10000.00"), description="an order of this amount is denied"
    )
    velocity_window_s: int = Field(60, ge=1, description="orders of one user are counted over this")
    velocity_count: int = Field(6, ge=1, description="more orders in the window are suspicious")
    spend_window_s: int = Field(
        3600, ge=1, description="spending of one user is added up over this"
    )
    spend_amount: Decimal = Field(
        Decimal("5000.00"), description="more in the window is suspicious"
    )
    card_window_s: int = Field(600, ge=1, description="cards of one user are counted over this")
    card_count: int = Field(3, ge=2, description="different cards of one user in the window")
    card_small_amount: Decimal = Field(
        Decimal("10.00"), description="an order up to this looks like a card being tested"
    )
    travel_kmh: float = Field(900.0, gt=0, description="faster between two orders is impossible")
    travel_min_km: float = Field(100.0, ge=0, description="shorter distances are not judged")
    takeover_amount: Decimal = Field(
        Decimal("200.00"), description="from a new device with a new card: account take-over"
    )
    weights: dict[RuleCode, Annotated[int, Field(ge=0, le=100)]] = Field(
        {}, description="points of a rule, by its reason code; unset: its own, 0: off"
    )
    lateness_s: int = Field(
        300, ge=0, description="a transaction may be this late and still be scored exactly"
    )


class Stream(Section):
    batch_max_events: int = Field(2000, ge=1, description="events committed together at most")
    fetch_wait_s: Annotated[float, CONNECTION] = Field(
        0.1, gt=0, description="how long a fetch waits for events; bounds the idle load"
    )
    lease_ttl_s: float = Field(
        6.0, gt=0, description="a silent owner's partitions are free after this"
    )
    heartbeat_s: float = Field(1.0, gt=0, description="between renewals of the leases")
    snapshot_every_s: float = Field(30.0, gt=0, description="between snapshots of keyed state")
    late_after_s: int = Field(86400, ge=0, description="older events are counted and marked late")
    shards: Annotated[dict[PipelineName, int], PARTITIONS] = Field(
        {"fraud": 1}, description="actors of a pipeline that does not share one"
    )
    shared: Annotated[tuple[PipelineName, ...], PARTITIONS] = Field(
        ("analytics", "notifications", "users", "inventory", "availability"),
        description="pipelines that share one actor",
    )


class Outbox(Section):
    batch_max_events: int = Field(2000, ge=1, description="events sent together at most")
    poll_min_s: float = Field(0.01, gt=0, description="between looks while there is work")
    poll_max_s: float = Field(0.1, gt=0, description="between looks when there is none")
    audit_every_s: float = Field(
        5.0, gt=0, description="compare broker end offsets with what was sent"
    )
    retention_s: int = Field(
        7 * 86400, ge=60, description="how long sent events are kept for a refill"
    )


class Notifications(Section):
    poll_s: float = Field(0.2, gt=0, description="between looks for deliveries")
    batch: int = Field(50, ge=1, description="deliveries claimed at once")
    concurrency: int = Field(8, ge=1, description="deliveries under way at once, per worker")
    max_attempts: int = Field(8, ge=1, description="then a delivery has failed")
    backoff_s: float = Field(1.0, gt=0, description="before the second attempt; doubles")
    backoff_max_s: float = Field(300.0, gt=0, description="longest wait between attempts")
    claim_s: float = Field(
        30.0, gt=0, description="a claim of a dead worker is free again after this"
    )


class Telemetry(Section):
    otlp_endpoint: Annotated[str | None, CONNECTION] = Field(
        None, description="OTLP/HTTP collector; unset: no export"
    )
    sample_ratio: float = Field(1.0, ge=0, le=1, description="part of the traces that is exported")


class Deployment(Section):
    """Ray Serve options of one service."""

    min_replicas: int = Field(1, ge=0, description="fewest replicas")
    max_replicas: int = Field(4, ge=1, description="most replicas")
    target_ongoing_requests: float = Field(
        32, gt=0, description="a replica more when each has this many"
    )
    max_ongoing_requests: Annotated[int, REPLICA] = Field(
        128, ge=1, description="a replica with this many takes no more"
    )
    upscale_delay_s: float = Field(5.0, ge=0, description="load has to last this long for one more")
    downscale_delay_s: float = Field(
        60.0, ge=0, description="quiet has to last this long for one less"
    )
    num_cpus: Annotated[float, REPLICA] = Field(
        0.1, ge=0, description="share of a CPU that Ray reserves for a replica"
    )
    graceful_shutdown_timeout_s: float = Field(
        10.0, gt=0, description="for requests under way when a replica ends"
    )
    health_check_period_s: float = Field(5.0, gt=0, description="between checks of a replica")


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
