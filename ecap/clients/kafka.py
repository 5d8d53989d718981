"""aiokafka, configured and translated; the only module that imports it.

No consumer groups, no broker transactions: partitions are assigned by hand and
positions live in PostgreSQL.
"""

from __future__ import annotations

import functools
import logging
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiokafka.client
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError
from aiokafka.helpers import create_ssl_context
from aiokafka.protocol.metadata import MetadataRequest

from ecap import logs, metrics
from ecap.config.settings import Kafka
from ecap.domain.events import DLQ_PARTITIONS, DLQ_SUFFIX, TOPICS
from ecap.errors import Misconfigured, Unavailable

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


def _security(settings: Kafka) -> dict[str, Any]:
    if settings.bootstrap_servers is None:
        raise Misconfigured("kafka.bootstrap_servers is not set")
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
        "ssl_context": _tls(settings),
    }
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


def _tls(settings: Kafka) -> ssl.SSLContext | None:
    if "SSL" not in settings.security_protocol:
        return None
    cafile = str(settings.ssl_cafile) if settings.ssl_cafile else None
    context: ssl.SSLContext = create_ssl_context(cafile=cafile)
    return context


@asynccontextmanager
async def open_producer(settings: Kafka) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        **_security(settings),
        acks="all",
        enable_idempotence=settings.idempotent_producer,
        compression_type=None if settings.compression == "none" else settings.compression,
        max_batch_size=256 * 1024,
        linger_ms=0,
        request_timeout_ms=10_000,
        retry_backoff_ms=50,
    )
    with translated():
        await producer.start()
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
        **_security(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=int(fetch_wait_s * 1000),
        max_partition_fetch_bytes=4 << 20,
        retry_backoff_ms=50,
    )
    with translated():
        await consumer.start()
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
    admin = AIOKafkaAdminClient(**_security(settings), request_timeout_ms=10_000)
    with translated():
        await admin.start()
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
