"""Whose fault a deadline is that passed: what callers cause is never a 5xx."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from integration.serve.serving import serving
from prometheus_client import REGISTRY

from ecap.config.settings.http import Http
from ecap.config.settings.limits import Limits
from ecap.errors import DeadlineExceeded, Overloaded
from ecap.serve.edge.asgi import Edge
from ecap.serve.edge.parts import EdgeParts
from ecap.serve.edge.tokens import TokenVerifier
from ecap.serve.endpoints.models import Model
from ecap.serve.endpoints.routing import Api, Call

api = Api("late", prefix="/late", title="Late")


class Text(Model):
    text: str


@api.get("/never", scope=None)
async def never(call: Call[None]) -> None:
    """Wait."""
    await asyncio.sleep(60)


@api.get("/below", scope=None)
async def below(call: Call[None]) -> None:
    """Pass on what a call further down met."""
    raise DeadlineExceeded("no answer within 0.000 s")


@api.get("/shed", scope=None)
async def shed(call: Call[None]) -> None:
    """Stand in a line for as long as the caller is ready to wait."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise Overloaded("waited too long for a slot") from None


@api.post("/echo", scope=None)
async def echo(call: Call[None], body: Text) -> Text:
    """Echo."""
    return body


@api.post("/work", scope=None)
async def work(call: Call[None], body: Text) -> None:
    """Read the text, and wait."""
    await asyncio.sleep(60)


@pytest.fixture
def app() -> Edge:
    async def jwks() -> Any:
        return {"keys": []}

    @asynccontextmanager
    async def opening() -> AsyncIterator[EdgeParts]:
        yield EdgeParts(None, TokenVerifier(jwks, issuer="x", audience="x"), None)

    http = Http(request_timeout_s=3.0, max_request_timeout_s=5.0)
    return Edge(api, opening, http=http, rate=Limits(enabled=False))


@pytest.fixture
async def edge(app: Edge) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/late/never", "/late/below", "/late/shed"])
@pytest.mark.parametrize("haste", ["0.0001", "0.2"])
async def test_haste_is_the_callers(edge: httpx.AsyncClient, path: str, haste: str) -> None:
    answer = await edge.get(path, headers={"x-request-timeout": haste})
    assert (answer.status_code, answer.json()["type"]) == (408, "urn:ecap:problem:request-timeout")
    assert haste in answer.json()["detail"]


@pytest.mark.parametrize("headers", [{}, {"x-request-timeout": "1.1"}])
async def test_who_gave_us_time_was_failed(
    edge: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await edge.get("/late/never", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (
        504,
        "urn:ecap:problem:deadline-exceeded",
    )


async def test_what_is_configured_is_our_own_haste(app: Edge, edge: httpx.AsyncClient) -> None:
    app.reconfigure(http=Http(request_timeout_s=0.5, max_request_timeout_s=5.0))
    assert (await edge.get("/late/never")).status_code == 504


async def test_a_call_below_that_was_late_is_our_failure(edge: httpx.AsyncClient) -> None:
    assert (await edge.get("/late/below")).status_code == 504


async def trickling(
    edge: httpx.AsyncClient, path: str, *, timeout: str, rest_after_s: float
) -> int:
    """The status for a body of which a byte comes at once, and the rest later."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.base_url.port)
    body = b'{"text": "x"}'
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"x-request-timeout: {timeout}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body[:1])
    answer = asyncio.create_task(reader.readline())
    await asyncio.wait({answer}, timeout=rest_after_s)
    writer.write(body[1:])
    status = int((await answer).split()[1])
    writer.close()
    await writer.wait_closed()
    return status


async def test_a_body_that_does_not_come_is_the_callers(edge: httpx.AsyncClient) -> None:
    assert await trickling(edge, "/late/echo", timeout="1.5", rest_after_s=9) == 408


async def test_a_body_that_took_the_time_is_the_callers(edge: httpx.AsyncClient) -> None:
    assert await trickling(edge, "/late/work", timeout="1.5", rest_after_s=1.0) == 408


async def test_a_body_that_took_little_of_it_is_not(edge: httpx.AsyncClient) -> None:
    assert await trickling(edge, "/late/work", timeout="1.8", rest_after_s=0.2) == 504


def counted(status: str) -> float:
    labels = {"service": "late", "route": "/late/echo", "method": "POST", "status": status}
    return REGISTRY.get_sample_value("ecap_http_requests_total", labels) or 0.0


async def test_hanging_up_is_499(edge: httpx.AsyncClient) -> None:
    before = counted("499"), counted("400")
    _, writer = await asyncio.open_connection("127.0.0.1", edge.base_url.port)
    writer.write(b"POST /late/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(5):
        while counted("499") == before[0]:  # noqa: ASYNC110  it is counted in batches
            await asyncio.sleep(0.02)
    assert (counted("499"), counted("400")) == (before[0] + 1, before[1])


async def test_what_callers_cause_undoes_no_canary(app: Edge, edge: httpx.AsyncClient) -> None:
    for _ in range(5):
        await edge.get("/late/never", headers={"x-request-timeout": "0.0001"})
    async with asyncio.timeout(5):
        while app.health().requests < 5:  # noqa: ASYNC110  as above
            await asyncio.sleep(0.02)
    assert app.health().error_ratio == 0.0
