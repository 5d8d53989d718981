"""Every Prometheus name, once.

One scrape address a node: when `PROMETHEUS_MULTIPROC_DIR` is set, each process
writes its samples to files in that directory and `exposition()` of any process
adds them up. The variable has to be set before this module is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ecap import front_door

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

http_requests = Counter(
    "ecap_http_requests_total", "HTTP requests answered", ["service", "route", "method", "status"]
)
http_seconds = Histogram(
    "ecap_http_request_seconds",
    "Time in a replica, edge included",
    ["service", "route"],
    buckets=_LATENCY_S,
)
http_in_flight = Gauge(
    "ecap_http_in_flight", "Requests being answered", ["service"], multiprocess_mode="livesum"
)
rate_limited = Counter(
    "ecap_rate_limited_total", "Requests refused by a limit", ["service", "kind"]
)
limit_ledger_unreachable = Counter(
    "ecap_limit_ledger_unreachable_total", "Limits decided locally, ledger away", ["service"]
)

mesh_calls = Counter(
    "ecap_mesh_calls_total", "Calls to other services and actors", ["callee", "outcome"]
)
mesh_seconds = Histogram(
    "ecap_mesh_call_seconds", "Time of a call, retries included", ["callee"], buckets=_LATENCY_S
)
mesh_retries = Counter("ecap_mesh_retries_total", "Attempts after the first", ["callee"])
mesh_breaker = Gauge(
    "ecap_mesh_breaker_state",
    "0 closed, 1 half open, 2 open",
    ["callee"],
    multiprocess_mode="livemax",
)
mesh_shed = Counter("ecap_mesh_shed_total", "Calls shed by a concurrency limit", ["callee"])

stream_events = Counter("ecap_stream_events_total", "Events by fate", ["pipeline", "outcome"])
stream_batch_seconds = Histogram(
    "ecap_stream_batch_seconds", "Apply and commit of one batch", ["pipeline"], buckets=_LATENCY_S
)
stream_latency_seconds = Histogram(
    "ecap_stream_latency_seconds",
    "Event time to commit",
    ["pipeline"],
    buckets=(*_LATENCY_S, 30.0, 60.0, 300.0),
)
stream_lag = Gauge(
    "ecap_stream_lag_events",
    "Events not yet applied",
    ["pipeline", "topic", "partition"],
    multiprocess_mode="livemostrecent",
)
stream_fenced = Counter(
    "ecap_stream_fenced_total", "Batches dropped by the epoch fence", ["pipeline"]
)
stream_questions = Counter(
    "ecap_stream_questions_total", "Synchronous questions to a shard", ["pipeline", "outcome"]
)
dead_letters = Counter("ecap_dead_letters_total", "Events set aside", ["pipeline", "reason"])

outbox_sent = Counter("ecap_outbox_sent_total", "Events handed to Kafka", ["topic"])
outbox_pending = Gauge(
    "ecap_outbox_pending_events",
    "Events not yet in Kafka",
    ["schema"],
    multiprocess_mode="livemostrecent",
)
outbox_refilled = Counter(
    "ecap_outbox_refilled_total", "Events sent again after broker loss", ["topic"]
)

pg_pool_size = Gauge(
    "ecap_postgres_pool_connections", "Open connections", ["service"], multiprocess_mode="livesum"
)
pg_pool_wait_seconds = Histogram(
    "ecap_postgres_pool_wait_seconds", "Wait for a connection", ["service"], buckets=_LATENCY_S
)
kafka_errors = Counter("ecap_kafka_errors_total", "Broker errors by kind", ["kind"])

actor_restarts = Counter("ecap_actor_restarts_total", "Restarts by the supervisor", ["actor"])
orders_placed = Counter("ecap_orders_placed_total", "Orders accepted", ["status"])
notifications_sent = Counter(
    "ecap_notifications_total", "Delivery attempts", ["channel", "outcome"]
)

config_version = Gauge(
    "ecap_config_version", "Configuration in use", ["member"], multiprocess_mode="livemostrecent"
)
config_silence_seconds = Gauge(
    "ecap_config_silence_seconds",
    "Since the hub was heard last",
    ["member"],
    multiprocess_mode="livemostrecent",
)
config_members = Gauge(
    "ecap_config_members", "Members by state", ["state"], multiprocess_mode="livemostrecent"
)
config_rounds = Counter("ecap_config_rounds_total", "Changes by outcome", ["outcome"])
config_publish_seconds = Histogram(
    "ecap_config_publish_seconds",
    "From the decision to the last acknowledgement",
    buckets=_LATENCY_S,
)
config_source_up = Gauge(
    "ecap_config_source_up",
    "1 when the source can be read",
    ["source"],
    multiprocess_mode="livemostrecent",
)
config_source_changed = Gauge(
    "ecap_config_source_changed_timestamp_seconds",
    "Last change seen, Unix time",
    ["source"],
    multiprocess_mode="livemostrecent",
)
config_source_errors = Counter(
    "ecap_config_source_errors_total", "Failed looks at a source", ["source"]
)
config_source_refused = Gauge(
    "ecap_config_source_refused",
    "1 when the hub did not take what the source says now",
    ["source"],
    multiprocess_mode="livemostrecent",
)
config_lease_ends = Gauge(
    "ecap_config_lease_ends_timestamp_seconds",
    "When what Vault leased ends, Unix time; of several processes the first",
    ["source"],
    multiprocess_mode="livemin",
)
config_lease_seconds = Gauge(
    "ecap_config_lease_seconds",
    "How long it was leased for when it was leased or renewed last",
    ["source"],
    multiprocess_mode="livemin",
)
config_key_age_seconds = Gauge(
    "ecap_config_key_age_seconds",
    "Age of the key that encrypts",
    multiprocess_mode="livemostrecent",
)

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _FrontDoor(Collector):
    """Asked when somebody asks us: nobody of ours sees what HAProxy answers by itself."""

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "ecap_front_door_up", "1 when the HAProxy of this node answers", labels=[]
        )
        answers = CounterMetricFamily(
            "ecap_front_door_responses_total",
            "Answers at the front door, those that no replica gave too",
            labels=["service", "status"],
        )
        replicas = GaugeMetricFamily(
            "ecap_front_door_replicas", "Replicas that the front door uses", labels=["service"]
        )
        told = front_door.told()
        up.add_metric((), 0 if told is None else 1)
        for service, counted in (told or {}).items():
            for status, count in counted.answers.items():
                answers.add_metric((service, status), count)
            if counted.replicas is not None:
                replicas.add_metric((service,), counted.replicas)
        yield from (up, answers, replicas)


def exposition() -> bytes:
    """The samples of every process of this node, in the Prometheus text format."""
    registry = CollectorRegistry()
    registry.register(_FrontDoor())
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return generate_latest() + generate_latest(registry)
    _forget_the_dead(Path(folder))
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_the_dead(folder: Path) -> None:
    """Who was killed took nothing back: its connections would be counted for ever, and a
    breaker it had open would stay open."""
    for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:
            continue
