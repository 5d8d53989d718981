"""The topics that events travel on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A topic has one producing service: positions are dense per topic and partition."""

    name: str
    partitions: int
    key: str
    producer: str
    compacted: bool = False


TOPICS: Mapping[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic("transactions", 6, "user_id", "orders"),
        Topic("accounts", 3, "user_id", "auth"),
        Topic("product-updates", 3, "product_id", "catalog", compacted=True),
        Topic("user-events", 12, "session_id", "analytics"),
        Topic("fraud-alerts", 2, "transaction_id", "fraud"),
        Topic("analytics-results", 4, "metric", "analytics"),
        Topic("notifications", 3, "user_id", "notifications"),
        # The security log: in one order, and never much at once.
        Topic("audit-auth", 1, "subject", "auth"),
        Topic("audit-config", 1, "subject", "config"),
        Topic("audit-stream", 1, "subject", "stream"),
    )
}
DLQ_SUFFIX = ".dlq"
DLQ_PARTITIONS = 1
