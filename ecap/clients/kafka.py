"""aiokafka, configured and translated; the only module that imports it.

No consumer groups, no broker transactions: partitions are assigned by hand and
positions live in PostgreSQL.
"""

from __future__ import annotations

import functools
import logging
import os
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiokafka.client
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.abc import AbstractTokenProvider
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError
from aiokafka.helpers import create_ssl_context
from aiokafka.protocol.metadata import MetadataRequest

from ecap import logs, metrics
from ecap.clients.msk import IamTokens
from ecap.config.settings.connections.kafka import Kafka
from ecap.domain.events.topics import DLQ_PARTITIONS, DLQ_SUFFIX, TOPICS
from ecap.errors import EcapError, Misconfigured, Unavailable

__all__ = [
    "AIOKafkaConsumer",
    "AIOKafkaProducer",
    "ConsumerRecord",
    "TopicPartition",
    "create_topics",
    "open_consumer",
    "open_producer",
    "translated",
]

_log = logs.get("ecap.kafka")

# What matters arrives as an exception or in our own metrics; while a topic is missing,
# aiokafka writes a thousand warnings a second.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

# aiokafka has no setting for it: a client that merely asks for a topic must not create it.
# A broker that came back empty would make it with its own default number of partitions.
aiokafka.client.MetadataRequest = functools.partial(
    MetadataRequest, allow_auto_topic_creation=False
)


@contextmanager
def translated() -> Iterator[None]:
    """Raises Unavailable for every broker error."""
    try:
        yield
    except KafkaError as exc:
        metrics.kafka_errors.labels(type(exc).__name__).inc()
        raise Unavailable(f"kafka: {type(exc).__name__}") from exc
    except OSError as exc:
        metrics.kafka_errors.labels("connection").inc()
        raise Unavailable(f"kafka: {exc.strerror or type(exc).__name__}") from exc


class _Bearer(AbstractTokenProvider):  # type: ignore[misc]
    """aiokafka asks it for a token at each connection."""

    def __init__(self, tokens: IamTokens) -> None:
        self._tokens = tokens

    async def token(self) -> str:
        try:
            return await self._tokens.current()
        except EcapError as exc:
            # Anything that is no KafkaError would end aiokafka's own tasks, and with them the
            # client; this one it tries again.
            raise KafkaConnectionError(exc.detail) from exc


async def _security(settings: Kafka) -> dict[str, Any]:
    if settings.bootstrap_servers is None:
        raise Misconfigured("kafka.bootstrap_servers is not set")
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
        "ssl_context": _tls(settings),
    }
    if settings.sasl_mechanism == "OAUTHBEARER":
        return options | await _by_iam(settings)
    if settings.security_protocol.startswith("SASL"):
        if not (settings.sasl_mechanism and settings.sasl_username and settings.sasl_password):
            raise Misconfigured(
                "kafka.sasl_mechanism, sasl_username and sasl_password are needed for "
                + settings.security_protocol
            )
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value(),
        }
    return options


async def _by_iam(settings: Kafka) -> dict[str, Any]:
    if settings.security_protocol != "SASL_SSL":
        raise Misconfigured(
            "kafka.security_protocol has to be SASL_SSL for OAUTHBEARER: who reads a token can use"
            " it for 15 minutes"
        )
    if settings.aws_region is None:
        raise Misconfigured("kafka.aws_region is needed for OAUTHBEARER: the region of the brokers")
    tokens = IamTokens(settings.aws_region, environ=os.environ, wall=time.time)
    # Once here: aiokafka would hide why there is none behind "unable to bootstrap".
    await tokens.current()
    return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": _Bearer(tokens)}


def _tls(settings: Kafka) -> ssl.SSLContext | None:
    if "SSL" not in settings.security_protocol:
        return None
    cafile = str(settings.ssl_cafile) if settings.ssl_cafile else None
    context: ssl.SSLContext = create_ssl_context(cafile=cafile)
    return context


async def _start(client: Any, settings: Kafka) -> None:
    """aiokafka tells a broker that refuses from one that is away only in its log."""
    try:
        with translated():
            await client.start()
    except Unavailable as exc:
        if settings.sasl_mechanism is None:
            raise
        raise Unavailable(
            f"{exc.detail}: the brokers cannot be reached, or refuse the log-in by"
            f" {settings.sasl_mechanism}"
        ) from exc


@asynccontextmanager
async def open_producer(settings: Kafka) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        **await _security(settings),
        acks="all",
        enable_idempotence=settings.idempotent_producer,
        compression_type=None if settings.compression == "none" else settings.compression,
        max_batch_size=256 * 1024,
        linger_ms=0,
        request_timeout_ms=10_000,
        retry_backoff_ms=50,
    )
    await _start(producer, settings)
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def open_consumer(
    settings: Kafka, *, fetch_wait_s: float = 0.05
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without group or assignment; the caller assigns and seeks."""
    consumer = AIOKafkaConsumer(
        **await _security(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=int(fetch_wait_s * 1000),
        max_partition_fetch_bytes=4 << 20,
        retry_backoff_ms=50,
    )
    await _start(consumer, settings)
    try:
        yield consumer
    finally:
        await consumer.stop()


def _new_topics(settings: Kafka, existing: set[str]) -> Sequence[NewTopic]:
    wanted: list[NewTopic] = []
    retention = {"retention.ms": str(settings.retention_s * 1000)}
    isr = {"min.insync.replicas": str(settings.min_insync_replicas)}
    for topic in TOPICS.values():
        policy = {"cleanup.policy": "compact"} if topic.compacted else retention
        for name, partitions, config in (
            (topic.name, topic.partitions, {**policy, **isr}),
            (topic.name + DLQ_SUFFIX, DLQ_PARTITIONS, {**retention, **isr}),
        ):
            if name not in existing:
                wanted.append(
                    NewTopic(name, partitions, settings.replication_factor, topic_configs=config)
                )
    return wanted


async def create_topics(settings: Kafka) -> Mapping[str, int]:
    """Create what is missing. Answers the partition count of every topic of ours.

    Raises Misconfigured when a topic exists with another partition count: keys
    would move between partitions.
    """
    admin = AIOKafkaAdminClient(**await _security(settings), request_timeout_ms=10_000)
    await _start(admin, settings)
    try:
        with translated():
            existing = set(await admin.list_topics())
            missing = _new_topics(settings, existing)
            if missing:
                try:
                    await admin.create_topics(list(missing))
                except TopicAlreadyExistsError:
                    _log.info("topics were created by somebody else meanwhile")
            described = await admin.describe_topics(list(TOPICS))
    finally:
        await admin.close()
    counts = {item["topic"]: len(item["partitions"]) for item in described}
    for topic in TOPICS.values():
        if counts.get(topic.name) != topic.partitions:
            raise Misconfigured(
                f"topic {topic.name} has {counts.get(topic.name)} partitions,"
                f" expected {topic.partitions}"
            )
    return counts
