"""What every transport has to do, over each of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from integration.mesh.desk import Desk, InProcess, at_socket

from ecap.errors import (
    Conflict,
    DeadlineExceeded,
    EcapError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Overloaded,
    PreconditionFailed,
    RateLimited,
    Retryable,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from ecap.mesh import CallContext, CallPolicy, MeshClient, Transport, use
from ecap.mesh.http import HttpTransport

POLICY = CallPolicy(attempts=2, backoff_s=1e-6, retry_min_per_s=100)
HEADERS = {"x-request-id": "r1"}


@pytest.fixture(params=["in process", "http", "socket"])
async def transport(
    request: pytest.FixtureRequest,
    desk: Desk,
    address: str,
    session: aiohttp.ClientSession,
    tmp_path: Path,
) -> AsyncIterator[Transport]:
    if request.param == "in process":
        yield InProcess(desk)
    elif request.param == "http":
        yield HttpTransport("desk", session, base_url=address)
    else:
        async with at_socket(desk, tmp_path / "a") as transport:
            yield transport


@pytest.mark.parametrize("payload", [{"a": [1, 2.5, None, "é\u2028"]}, [], "", 0, False])
async def test_values_go_there_and_back(transport: Transport, desk: Desk, payload: object) -> None:
    desk.will("POST /echo", {"got": payload})
    assert await transport.send("POST /echo", payload, HEADERS, 5.0) == {"got": payload}
    assert desk.seen == [("POST /echo", payload)]


async def test_nothing_is_sent_for_no_payload_and_answered_with_none(
    transport: Transport, desk: Desk
) -> None:
    desk.will("DELETE /thing?force=1", None)
    assert await transport.send("DELETE /thing?force=1", None, HEADERS, 5.0) is None
    assert desk.seen == [("DELETE /thing?force=1", None)]


async def test_headers_arrive(transport: Transport, desk: Desk) -> None:
    desk.will("GET /x", 1)
    await transport.send("GET /x", None, {**HEADERS, "if-match": '"7"'}, 5.0)
    assert desk.headers[0]["x-request-id"] == "r1"
    assert desk.headers[0]["if-match"] == '"7"'


@pytest.mark.parametrize(
    "error",
    [
        Malformed("not JSON"),
        Unauthenticated("who?"),
        Forbidden("not you", scope="orders:write"),
        NotFound("gone", id="p1"),
        Conflict("no stock", products=["p1"]),
        PreconditionFailed("changed"),
        TooLarge("big", limit_bytes=10),
        Invalid("two wrong", errors=[{"field": "a", "message": "b"}]),
        RateLimited("slow down", retry_after_s=3),
        Overloaded("full", retry_after_s=2),
        Unavailable("down", retry_after_s=4, callee="postgres"),
        DeadlineExceeded("late"),
        EcapError("a bug"),
    ],
    ids=lambda e: e.slug,
)
async def test_the_callees_error_is_raised_with_its_facts(
    transport: Transport, desk: Desk, error: EcapError
) -> None:
    desk.will("POST /fail", error)
    with pytest.raises(EcapError) as caught:
        await transport.send("POST /fail", {}, HEADERS, 5.0)
    assert type(caught.value) is type(error)
    if type(error) is not EcapError:  # a bug's text stays in the log of the callee
        assert caught.value.detail == error.detail
    assert caught.value.facts == error.facts
    if isinstance(error, Retryable):
        assert isinstance(caught.value, Retryable)
        assert caught.value.retry_after_s == error.retry_after_s


async def test_an_unknown_method_is_not_found(transport: Transport) -> None:
    with pytest.raises(NotFound):
        await transport.send("GET /nowhere", None, HEADERS, 5.0)


async def test_a_hundred_calls_at_once_get_their_own_answers(
    transport: Transport, desk: Desk
) -> None:
    for number in range(100):
        desk.will(f"GET /{number}", number)
    answers = await asyncio.gather(
        *(transport.send(f"GET /{n}", None, HEADERS, 5.0) for n in range(100))
    )
    assert answers == list(range(100))


async def test_a_cancelled_call_leaves_the_transport_usable(
    transport: Transport, desk: Desk
) -> None:
    never = asyncio.Event()
    desk.will("GET /hang", never)
    desk.will("GET /x", 1)
    for _ in range(3):
        task = asyncio.create_task(transport.send("GET /hang", None, HEADERS, 5.0), name="hang")
        seen = len(desk.seen)
        while len(desk.seen) == seen:  # noqa: ASYNC110  it is seen in the server's thread
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await transport.send("GET /x", None, HEADERS, 5.0) == 1


async def test_a_client_carries_the_request_and_its_deadline(
    transport: Transport, desk: Desk
) -> None:
    desk.will("GET /x", 1)
    context = CallContext.new(deadline=time.monotonic() + 30)
    with use(context):
        await MeshClient("desk", transport, CallPolicy(timeout_s=60)).call("GET /x")
    received = desk.context
    assert received.request_id == context.request_id
    assert received.trace.trace_id == context.trace.trace_id
    left_s = received.remaining_s(time.monotonic())
    assert left_s is not None
    assert 0 < left_s <= 30


async def test_a_client_repeats_what_was_shed(transport: Transport, desk: Desk) -> None:
    desk.will("POST /pay", Overloaded("full", retry_after_s=0), "paid")
    assert await MeshClient("desk", transport, POLICY).call("POST /pay", {}) == "paid"


@pytest.mark.parametrize(
    "error", [Unavailable("down"), Overloaded("full", callee="deeper"), Conflict("no")]
)
async def test_a_client_does_not_repeat_what_may_have_happened(
    transport: Transport, desk: Desk, error: EcapError
) -> None:
    desk.will("POST /pay", error)
    with pytest.raises(type(error)):
        await MeshClient("desk", transport, POLICY).call("POST /pay", {})
    assert len(desk.seen) == 1


async def test_a_client_gives_up_in_time(transport: Transport, desk: Desk) -> None:
    desk.will("GET /hang", asyncio.Event())
    with pytest.raises(DeadlineExceeded) as caught:
        await MeshClient("desk", transport, POLICY).call("GET /hang", timeout_s=0.05)
    assert caught.value.facts == {"callee": "desk"}
