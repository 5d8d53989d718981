"""What an operator sees: traces across all stages, metrics of all processes, health, documents."""

from __future__ import annotations

import json
import re
import secrets
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from e2e.people import Person, register
from e2e.system import System, until

from ecap.clients.kafka import TopicPartition, open_consumer
from ecap.demo.shoppers.shelf import Shelf
from ecap.demo.show.exposition import Samples
from ecap.domain.events.codec import decode
from ecap.domain.events.envelope import Event
from ecap.domain.events.notifications import NotificationDelivered
from ecap.domain.events.topics import TOPICS

_SERVICES = {
    *("gateway", "auth", "users", "catalog", "orders", "analytics", "fraud", "notifications"),
}


@pytest.fixture
async def shopper(door: httpx.AsyncClient) -> Person:
    return await register(door)


async def test_one_trace_from_the_request_to_the_notification(
    system: System, shopper: Person, shelf: Shelf
) -> None:
    trace_id, request_id = secrets.token_hex(16), f"e2e-{secrets.token_hex(4)}"
    dear = shelf.worth(Random(5), least_minor=2500_00, most_quantity=20)
    answer = await shopper.order(
        dear,
        "traced",
        traceparent=f"00-{trace_id}-00f067aa0ba902b7-01",
        **{"x-request-id": request_id},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] != "approved"
    order_id = UUID(answer.json()["id"])
    assert answer.headers.get_list("x-request-id") == [request_id]
    assert answer.headers["traceparent"].split("-")[1] == trace_id

    def about_it(event: Event) -> bool:
        payload = event.payload
        if isinstance(payload, NotificationDelivered):
            return payload.user_id == shopper.id
        return getattr(payload, "order_id", getattr(payload, "transaction_id", None)) == order_id

    for topic in ("transactions", "fraud-alerts", "notifications"):
        event = await until(lambda t=topic: _find(system, t, about_it), what=f"an event in {topic}")
        assert event.traceparent is not None, topic
        assert event.traceparent.split("-")[1] == trace_id, topic
    (line,) = await until(lambda: _access_lines(system, request_id), what="its line in the log")
    assert line["trace_id"] == trace_id
    assert line["principal"] == str(shopper.id)
    assert line["service"] == "orders"


async def _find(system: System, topic: str, wanted: Any) -> Event | None:
    """From the beginning of the topic up to now."""
    partitions = [TopicPartition(topic, n) for n in range(TOPICS[topic].partitions)]
    async with open_consumer(system.settings.kafka) as consumer:
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        left = {p for p in partitions if ends[p]}
        while left:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    event = decode(record.value)
                    if wanted(event):
                        return event
            left = {p for p in left if await consumer.position(p) < ends[p]}
    return None


def _access_lines(system: System, request_id: str) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in (system.state.logs / "ray").glob("worker-*.out")
        for line in path.read_text(errors="replace").splitlines()
        if request_id in line and '"ecap.http"' in line
    ]


async def test_metrics_of_every_process_on_one_page(
    system: System, door: httpx.AsyncClient, shopper: Person
) -> None:
    refused = await door.get("/metrics")
    assert refused.status_code == 401
    assert (await shopper.ask("GET", "/metrics")).status_code == 403

    async def page() -> Samples | None:
        samples = Samples(await system.metrics())
        everybody = samples.by("ecap_http_requests_total", "service").keys() >= _SERVICES
        return samples if everybody and samples.total("ecap_stream_events_total") else None

    samples = await until(page, what="requests of every service")
    assert samples.by("ecap_postgres_pool_connections", "service").keys() >= _SERVICES | {"relay"}
    pipelines = samples.by("ecap_stream_lag_events", "pipeline").keys()
    assert pipelines >= {"fraud", "analytics", "notifications", "users", "inventory"}
    assert samples.total("ecap_outbox_sent_total", topic="transactions") > 0
    assert samples.by("ecap_mesh_calls_total", "callee").keys() >= {"fraud-0", "limits"}
    assert samples.by("ecap_outbox_pending_events", "schema")["orders"] >= 0


async def test_health_and_documents(door: httpx.AsyncClient) -> None:
    assert (await door.get("/healthz")).status_code == 200
    ready = (await door.get("/readyz")).json()
    assert ready["status"] == "ready", ready
    assert {f"service {name}" for name in _SERVICES - {"gateway"}} <= ready["checks"].keys()
    assert {"postgres", "broker", "actor relay", "actor fraud-0"} <= ready["checks"].keys()
    page = await door.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for name in re.findall(r'(?:src|href)="(/docs/[^"]+)"', page.text):
        assert (await door.get(name)).status_code == 200, name
    document = (await door.get("/openapi.json")).json()
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert {tag for one in operations for tag in one["tags"]} == _SERVICES
    links = (await door.get("/")).json()["links"]
    assert links["documentation"] == "/docs"


async def test_errors_are_problems(door: httpx.AsyncClient, shopper: Person) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("DELETE", "/api/v1/orders", 405),
        ("GET", "/api/v1/orders?limit=0", 422),
        ("POST", "/api/v1/orders", 415),
        ("GET", "/api/v1/fraud/alerts", 403),
    ):
        answer = await shopper.ask(method, path)
        assert answer.status_code == status, (method, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem["instance"] == answer.headers["x-request-id"]
    large = await shopper.ask(
        "POST",
        "/api/v1/orders",
        content=b"[" * (2 << 20),
        headers={"content-type": "application/json"},
    )
    assert large.status_code == 413
