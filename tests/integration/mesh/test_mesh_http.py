"""What only HTTP has: tokens, proxies that answer in the callee's place, broken connections."""

from __future__ import annotations

import aiohttp
import pytest
from integration.mesh.desk import Desk, hanging_up, unused_address
from starlette.responses import Response

from ecap.errors import (
    DeadlineExceeded,
    EcapError,
    Misconfigured,
    Overloaded,
    RateLimited,
    Refused,
    Retryable,
    Unavailable,
)
from ecap.mesh import (
    CallContext,
    CallPolicy,
    MeshClient,
    Principal,
    ServiceIdentity,
    Trace,
    Unreached,
    use,
)
from ecap.mesh.http import SERVICE_TOKEN, HttpTransport

KEY = b"k" * 32
POLICY = CallPolicy(attempts=3, backoff_s=1e-6, retry_min_per_s=100)


@pytest.fixture
def http(address: str, session: aiohttp.ClientSession) -> HttpTransport:
    return HttpTransport(
        "fraud", session, base_url=address, identity=ServiceIdentity("orders", key=KEY)
    )


async def test_the_service_and_the_user_prove_themselves(http: HttpTransport, desk: Desk) -> None:
    desk.will("GET /x", 1)
    context = CallContext("r1", Trace.new(), Principal("u1", "user"), bearer="users-token")
    with use(context):
        await MeshClient("fraud", http, CallPolicy()).call("GET /x")
    (headers,) = desk.headers
    caller = ServiceIdentity("fraud", key=KEY).verify(headers[SERVICE_TOKEN])
    assert (caller.subject, caller.kind) == ("orders", "service")
    assert headers["authorization"] == "Bearer users-token"
    assert "x-ecap-principal" not in headers


async def test_without_a_user_there_is_no_authorization(http: HttpTransport, desk: Desk) -> None:
    desk.will("GET /x", 1)
    await MeshClient("fraud", http, CallPolicy()).call("GET /x")
    assert "authorization" not in desk.headers[0]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, EcapError),
        (405, Refused),
        (408, DeadlineExceeded),
        (418, Refused),
        (429, RateLimited),
        (500, EcapError),
        (502, Unavailable),
        (503, Unavailable),
        (504, DeadlineExceeded),
        (507, EcapError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[]", b'{"type":null,"detail":7}'])
async def test_a_proxys_answer_is_told_by_its_status(
    http: HttpTransport, desk: Desk, status: int, kind: type[EcapError], body: bytes
) -> None:
    desk.will("GET /x", Response(body, status, {"location": "/y"}))
    with pytest.raises(EcapError) as caught:
        await http.send("GET /x", None, {}, 5.0)
    assert type(caught.value) is kind
    if kind.status != status:
        assert caught.value.facts["callee_status"] == status


async def test_only_a_503_can_say_that_nothing_was_done(http: HttpTransport, desk: Desk) -> None:
    desk.will("GET /x", Response(b'{"type":"urn:ecap:problem:overloaded"}', 500))
    with pytest.raises(EcapError) as caught:
        await http.send("GET /x", None, {}, 5.0)
    assert type(caught.value) is EcapError


async def test_a_callee_cannot_upset_the_error_with_odd_facts(
    http: HttpTransport, desk: Desk
) -> None:
    document = b'{"type":"urn:ecap:problem:overloaded","self":1,"facts":2,"retry_after_s":"soon"}'
    desk.will("GET /x", Response(document, 503))
    with pytest.raises(Overloaded) as caught:
        await http.send("GET /x", None, {}, 5.0)
    assert caught.value.facts == {"self": 1, "facts": 2}
    assert caught.value.retry_after_s == 0


@pytest.mark.parametrize(
    ("header", "body", "wait_s"),
    [
        ("7", b"", 7),
        ("7", b'{"retry_after_s":0.25}', 0.25),
        ("7", b'{"retry_after_s":-1}', 0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", b"", 0),
        ("-7", b"", 0),
        (None, b"", 0),
    ],
)
async def test_the_wait_asked_for_is_read(
    http: HttpTransport, desk: Desk, header: str | None, body: bytes, wait_s: float
) -> None:
    headers = {} if header is None else {"retry-after": header}
    desk.will("GET /x", Response(body, 503, headers))
    with pytest.raises(Retryable) as caught:
        await http.send("GET /x", None, {}, 5.0)
    assert caught.value.retry_after_s == wait_s


async def test_an_answer_that_is_not_json_is_the_callees_bug(
    http: HttpTransport, desk: Desk
) -> None:
    desk.will("GET /x", Response("<html>hello</html>", 200))
    with pytest.raises(EcapError, match="not JSON"):
        await http.send("GET /x", None, {}, 5.0)


@pytest.mark.parametrize("method", ["GET", "GET x", "GET http://elsewhere/", "GET @elsewhere/"])
async def test_a_method_is_a_verb_and_a_path(http: HttpTransport, method: str) -> None:
    with pytest.raises(ValueError, match="not a verb and a path"):
        await http.send(method, None, {}, 5.0)


async def test_an_address_without_a_scheme_is_refused(session: aiohttp.ClientSession) -> None:
    with pytest.raises(Misconfigured, match="fraud"):
        HttpTransport("fraud", session, base_url="localhost:8000")


async def test_a_callee_nobody_listens_for_was_not_reached(
    session: aiohttp.ClientSession,
) -> None:
    http = HttpTransport("away", session, base_url=unused_address())
    with pytest.raises(Unreached):
        await http.send("POST /pay", {}, {}, 5.0)
    mesh = MeshClient("away", http, POLICY)
    with pytest.raises(Unreached) as caught:
        await mesh.call("POST /pay", {})
    assert caught.value.facts == {"callee": "away"}


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "GET"])
async def test_a_request_lost_with_its_connection_is_sent_once(
    session: aiohttp.ClientSession, verb: str
) -> None:
    async with hanging_up() as (address, received):
        mesh = MeshClient("flaky", HttpTransport("flaky", session, base_url=address), POLICY)
        assert await mesh.call(f"{verb} /first") is True
        with pytest.raises(Unavailable) as caught:
            await mesh.call(f"{verb} /second")
        assert type(caught.value) is Unavailable
    assert [line.split(b" ")[1] for line in received] == [b"/first", b"/second"]


async def test_an_idempotent_request_lost_with_its_connection_is_repeated(
    session: aiohttp.ClientSession,
) -> None:
    async with hanging_up() as (address, received):
        mesh = MeshClient("flaky", HttpTransport("flaky", session, base_url=address), POLICY)
        assert await mesh.call("PUT /first", idempotent=True) is True
        assert await mesh.call("PUT /second", idempotent=True) is True
    assert len(received) == 3


async def test_connections_are_used_again(http: HttpTransport, desk: Desk) -> None:
    desk.will("GET /x", 1)
    for _ in range(5):
        await http.send("GET /x", None, {}, 5.0)
    assert len(set(desk.peers)) == 1
