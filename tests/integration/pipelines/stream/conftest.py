"""The steps on the real PostgreSQL, their tables empty, and real receivers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from integration.pipelines.stream.receivers import Hook, Mailbox, open_hook, open_mailbox

from ecap.clients.migrations import migrate
from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings

_TABLES = """
    fraud.decisions, fraud.alerts, fraud.outbox, analytics.revenue_minute,
    analytics.orders_minute, analytics.product_hour, analytics.activity_hour,
    analytics.late_hour, analytics.products, analytics.outbox, notifications.contacts,
    notifications.deliveries, notifications.attempts, notifications.outbox,
    users.profiles, users.addresses
"""


@pytest.fixture(scope="session")
async def migrated(settings: Settings) -> AsyncIterator[Pool]:
    async with open_pool(settings.postgres, service="tests") as pool:
        await migrate(pool)
        yield pool


@pytest.fixture
async def pool(migrated: Pool) -> Pool:
    await migrated.execute(f"TRUNCATE {_TABLES}")
    return migrated


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with open_mailbox() as opened:
        yield opened


@pytest.fixture
def hook() -> Iterator[Hook]:
    with open_hook() as opened:
        yield opened


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed one for localhost, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "mail.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path
