"""Every topic has an outbox that carries it."""

from __future__ import annotations

from ecap.actors.relay.positions import SCHEMA_OF
from ecap.domain.events.topics import DLQ_SUFFIX, TOPICS


def test_each_topic_is_sent_by_somebody() -> None:
    """Else its events would rest in an outbox that the relay never looks into."""
    assert SCHEMA_OF.keys() == {*TOPICS, *(topic + DLQ_SUFFIX for topic in TOPICS)}
