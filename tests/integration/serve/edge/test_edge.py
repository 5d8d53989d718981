"""The edge, over real HTTP: every status it gives, and what it adds to an answer."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
from integration.serve.serving import bearer, serving
from joserfc.jwk import OKPKey

from ecap.config import Settings
from ecap.config.settings.http import Cors, Http
from ecap.config.settings.limits import Limits
from ecap.errors import EcapError, Misconfigured, Unavailable
from ecap.mesh.identity import ServiceIdentity
from ecap.serve.edge.asgi import Edge
from ecap.serve.edge.parts import EdgeParts
from ecap.serve.edge.tokens import TokenVerifier
from ecap.serve.endpoints import openapi
from ecap.serve.endpoints.models import Model
from ecap.serve.endpoints.pages import PageQuery
from ecap.serve.endpoints.preconditions import IF_MATCH, required_version
from ecap.serve.endpoints.routing import Api, Call, Raw, Reply
from ecap.serve.replica.health import completed

Mint = Callable[..., str]
KEY = b"k" * 32


class Thing(Model):
    name: str
    size: int = 1


class Seen(Model):
    request_id: str
    traceparent: str
    subject: str
    kind: str
    address: str


api = Api("things", prefix="/things", title="Things")


@api.get("", scope=None)
async def list_things(call: Call[None], query: PageQuery) -> Thing:
    """List."""
    return Thing(name=query.cursor or "none", size=query.limit)


@api.post("", status=201, scope="catalog:write")
async def add(call: Call[None], body: Thing) -> Reply[Thing]:
    """Add."""
    return Reply(body, etag="1", headers=(("location", "/things/1"),))


@api.get("/seen", scope=None)
async def seen(call: Call[None]) -> Seen:
    """Look in the mirror."""
    return Seen(
        request_id=call.request_id,
        traceparent=call.traceparent,
        subject=call.principal.subject,
        kind=call.principal.kind,
        address=call.address,
    )


@api.get("/long", scope=None)
async def long(call: Call[None]) -> Raw:
    """Read a long text."""
    return Raw(b"x" * 5000, "text/plain")


@api.get("/packed", scope=None)
async def packed(call: Call[None]) -> Raw:
    """Read what is compressed already."""
    headers = (("content-encoding", "gzip"),)
    return Raw(gzip.compress(bytes(range(256)) * 100), "text/plain", headers=headers)


@api.get("/slow", scope=None, timeout_s=0.05)
async def slow(call: Call[None]) -> None:
    """Wait."""
    await asyncio.sleep(60)


@api.get("/bug", scope=None)
async def bug(call: Call[None]) -> None:
    """Fail."""
    raise RuntimeError("the secret reason")


@api.get("/misconfigured", scope=None)
async def misconfigured(call: Call[None]) -> None:
    """Fail for an operator."""
    raise Misconfigured("the secret setting")


@api.get("/odd", scope=None)
async def odd(call: Call[None]) -> None:
    """Fail with an answer nobody understood."""
    raise EcapError("the secret answer", upstream="10.0.0.1")


@api.get("/away", scope=None)
async def away(call: Call[None]) -> None:
    """Miss somebody."""
    raise Unavailable("postgres: away", retry_after_s=2.2)


@api.put("/{thing_id}", scope=None, headers=IF_MATCH)
async def replace(call: Call[None], thing_id: UUID, body: Thing) -> Reply[Thing]:
    """Replace."""

    async def present() -> int:
        return 3

    version = await required_version(call, present)
    return Reply(body, etag=str(version + 1))


@api.get("/{thing_id}", scope=None)
async def get(call: Call[None], thing_id: UUID) -> Reply[Thing]:
    """Get."""
    return Reply(Thing(name=str(thing_id)), etag="7-x")


@pytest.fixture(scope="module")
def settings_of_edge() -> tuple[Http, Limits]:
    cors = Cors(origins=("https://shop.example",))
    http = Http(max_body_bytes=16384, cors=cors, request_timeout_s=5, max_request_timeout_s=5)
    return http, Limits(enabled=False)


@pytest.fixture(scope="module")
async def edge(
    settings: Settings, signing_key: OKPKey, settings_of_edge: tuple[Http, Limits]
) -> AsyncIterator[httpx.AsyncClient]:
    async def jwks() -> Any:
        return {"keys": [signing_key.as_dict(private=False)]}

    @asynccontextmanager
    async def opening() -> AsyncIterator[EdgeParts]:
        verifier = TokenVerifier(jwks, issuer=settings.auth.issuer, audience=settings.auth.audience)
        yield EdgeParts(None, verifier, None, ServiceIdentity("things", key=KEY))

    http, rate = settings_of_edge
    async with serving(Edge(completed(api), opening, http=http, rate=rate)) as client:
        yield client


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    assert found["type"] == f"urn:ecap:problem:{kind}"
    assert found["status"] == status
    assert found["title"]
    assert found["instance"] == answer.headers["x-request-id"]
    return found


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b'{"name": ', "EOF"),
            (b'{"name": "\\ud800 and more"}', "hex escape"),
            (b'{"name": "a\\u0000b"}', "NUL"),
            (b'{"name": "a\x00b"}', "control character"),
            (b'{"name": "\xff"}', "unicode"),
            (b'{"name": ' + b"[" * 900 + b"]" * 900 + b"}", "recursion"),
            (b"", "EOF"),
        ],
    )
    async def test_400_for_what_cannot_be_read(
        self, edge: httpx.AsyncClient, mint: Mint, body: bytes, said: str
    ) -> None:
        headers = {**bearer(mint("admin")), "content-type": "application/json"}
        answer = await edge.post("/things", content=body, headers=headers)
        assert said.lower() in problem(answer, 400, "malformed")["detail"].lower()

    @pytest.mark.parametrize(
        "path",
        ["/things?limit=1&limit=2", "/things?cursor=%00", "/things?cursor=%ff", "/things/%00"],
    )
    async def test_400_for_addresses_that_mean_nothing(
        self, edge: httpx.AsyncClient, path: str
    ) -> None:
        problem(await edge.get(path), 400, "malformed")

    @pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf", ""])
    async def test_400_for_a_timeout_that_is_none(
        self, edge: httpx.AsyncClient, value: str
    ) -> None:
        answer = await edge.get("/things/seen", headers={"x-request-timeout": value})
        problem(answer, 400, "malformed")

    async def test_401_without_a_token(self, edge: httpx.AsyncClient) -> None:
        answer = await edge.post("/things", json={"name": "x"})
        problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer realm="ecap"'

    @pytest.mark.parametrize(
        "header", ["Basic dXNlcjpwYXNz", "Bearer", "token", "Bearer a b", "Bearer é"]
    )
    async def test_401_for_another_scheme(self, edge: httpx.AsyncClient, header: str) -> None:
        headers = {b"authorization": header.encode("latin-1")}
        problem(await edge.get("/things/seen", headers=headers), 401, "unauthenticated")

    async def test_403_without_the_scope(self, edge: httpx.AsyncClient, mint: Mint) -> None:
        headers = bearer(mint("customer"))
        answer = await edge.post("/things", json={"name": "x"}, headers=headers)
        assert problem(answer, 403, "forbidden")["scope"] == "catalog:write"

    @pytest.mark.parametrize("path", ["/nothing", "/things/not-an-id", "/things/a/b", "//things"])
    async def test_404(self, edge: httpx.AsyncClient, path: str) -> None:
        problem(await edge.get(path), 404, "not-found")

    async def test_405_says_what_is_allowed(self, edge: httpx.AsyncClient) -> None:
        answer = await edge.delete("/things")
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
        assert (await edge.request("BREW", "/things")).status_code in (400, 405)

    @pytest.mark.parametrize("header", [{}, {"if-match": "*"}])
    async def test_428_without_a_version(
        self, edge: httpx.AsyncClient, header: dict[str, str]
    ) -> None:
        url = "/things/0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b70"
        answer = await edge.put(url, json={"name": "x"}, headers=header)
        problem(answer, 428, "precondition-required")

    async def test_412_for_another_tag(self, edge: httpx.AsyncClient) -> None:
        url = "/things/0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b70"
        answer = await edge.put(url, json={"name": "x"}, headers={"if-match": '"x"'})
        problem(answer, 412, "precondition-failed")

    @pytest.mark.parametrize("given", ['"3-9"', '"3"', '"8", "3"', '"x,y", , "3"', 'W/"8", "3"'])
    async def test_a_version_that_was_seen(self, edge: httpx.AsyncClient, given: str) -> None:
        url = "/things/0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b70"
        answer = await edge.put(url, json={"name": "x"}, headers={"if-match": given})
        assert answer.headers["etag"] == '"4"'

    async def test_a_list_in_two_lines(self, edge: httpx.AsyncClient) -> None:
        url = "/things/0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b70"
        lines = [("if-match", '"3"'), ("if-match", '"8"')]
        answer = await edge.put(url, json={"name": "x"}, headers=lines)
        assert answer.headers["etag"] == '"4"'

    @pytest.mark.parametrize("given", ['W/"3"', 'W/"3", W/"4"', '"3', "3", '"a" "3"', ","])
    async def test_412_for_weak_tags_and_for_none(
        self, edge: httpx.AsyncClient, given: str
    ) -> None:
        url = "/things/0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b70"
        answer = await edge.put(url, json={"name": "x"}, headers={"if-match": given})
        problem(answer, 412, "precondition-failed")

    async def test_413_before_the_body_is_read(self, edge: httpx.AsyncClient, mint: Mint) -> None:
        headers = {**bearer(mint("admin")), "content-type": "application/json"}
        answer = await edge.post("/things", content=b" " * 16385, headers=headers)
        assert problem(answer, 413, "too-large")["limit_bytes"] == 16384

    async def test_413_without_a_length(self, edge: httpx.AsyncClient, mint: Mint) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b" " * 6000

        headers = {**bearer(mint("admin")), "content-type": "application/json"}
        answer = await edge.post("/things", content=chunks(), headers=headers)
        problem(answer, 413, "too-large")

    async def test_a_chunked_body_that_fits(self, edge: httpx.AsyncClient, mint: Mint) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for part in (b'{"name"', b': "x"}'):
                yield part

        headers = {**bearer(mint("admin")), "content-type": "application/json"}
        answer = await edge.post("/things", content=chunks(), headers=headers)
        assert answer.status_code == 201
        assert answer.headers["location"] == "/things/1"

    async def test_413_even_where_no_body_is_wanted(self, edge: httpx.AsyncClient) -> None:
        answer = await edge.request("GET", "/things/seen", content=b" " * 16385)
        problem(answer, 413, "too-large")

    @pytest.mark.parametrize(
        "ctype", ["text/plain", "", "application/jsonp", "multipart/form-data"]
    )
    async def test_415(self, edge: httpx.AsyncClient, mint: Mint, ctype: str) -> None:
        headers = {**bearer(mint("admin")), "content-type": ctype}
        answer = await edge.post("/things", content=b'{"name": "x"}', headers=headers)
        problem(answer, 415, "unsupported-media-type")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "name"),
            ({"name": 1}, "name"),
            ({"name": "x", "size": "1"}, "size"),
            ({"name": "x", "colour": "red"}, "colour"),
            ([], "body"),
        ],
    )
    async def test_422_names_the_field(
        self, edge: httpx.AsyncClient, mint: Mint, body: Any, field: str
    ) -> None:
        answer = await edge.post("/things", json=body, headers=bearer(mint("admin")))
        assert problem(answer, 422, "invalid")["errors"][0]["field"] == field

    @pytest.mark.parametrize("query", ["limit=0", "limit=x", "colour=red"])
    async def test_422_for_the_query(self, edge: httpx.AsyncClient, query: str) -> None:
        found = problem(await edge.get(f"/things?{query}"), 422, "invalid")
        assert found["errors"][0]["field"] == query.partition("=")[0]


class TestFailures:
    @pytest.mark.parametrize("path", ["/things/bug", "/things/misconfigured", "/things/odd"])
    async def test_500_tells_nothing(self, edge: httpx.AsyncClient, path: str) -> None:
        answer = await edge.get(path)
        problem(answer, 500, "internal")
        for secret in ("secret", "10.0.0.1", "Traceback", "RuntimeError"):
            assert secret not in answer.text

    async def test_503_says_when(self, edge: httpx.AsyncClient) -> None:
        answer = await edge.get("/things/away")
        problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "3"

    async def test_504_at_the_deadline(self, edge: httpx.AsyncClient) -> None:
        problem(await edge.get("/things/slow"), 504, "deadline-exceeded")


class TestIdentity:
    async def test_the_token_names_the_principal(self, edge: httpx.AsyncClient, mint: Mint) -> None:
        headers = bearer(mint("customer", subject="me"))
        found = (await edge.get("/things/seen", headers=headers)).json()
        assert (found["subject"], found["kind"]) == ("me", "user")
        assert (await edge.get("/things/seen")).json()["kind"] == "anonymous"

    async def test_a_service_names_itself(self, edge: httpx.AsyncClient) -> None:
        token = ServiceIdentity("orders", key=KEY).token("things")
        found = (await edge.get("/things/seen", headers={"x-ecap-service": token})).json()
        assert (found["subject"], found["kind"]) == ("orders", "service")
        answer = await edge.post("/things", json={"name": "x"}, headers={"x-ecap-service": token})
        problem(answer, 403, "forbidden")

    async def test_a_service_speaks_for_its_user(self, edge: httpx.AsyncClient, mint: Mint) -> None:
        token = ServiceIdentity("orders", key=KEY).token("things")
        headers = {"x-ecap-service": token, **bearer(mint("customer", subject="me"))}
        assert (await edge.get("/things/seen", headers=headers)).json()["subject"] == "me"

    @pytest.mark.parametrize(
        "token",
        [
            ServiceIdentity("orders", key=KEY).token("fraud"),
            ServiceIdentity("orders", key=b"o" * 32).token("things"),
            ServiceIdentity("orders", key=KEY, now=lambda: time.time() - 900).token("things"),
            "nonsense",
        ],
        ids=["for another", "another key", "old", "nonsense"],
    )
    async def test_401_for_a_service_that_is_none(
        self, edge: httpx.AsyncClient, token: str
    ) -> None:
        answer = await edge.get("/things/seen", headers={"x-ecap-service": token})
        problem(answer, 401, "unauthenticated")

    async def test_nobody_names_the_principal_in_a_header(self, edge: httpx.AsyncClient) -> None:
        headers = {"x-ecap-principal": '{"subject":"root","kind":"user","scopes":["auth:admin"]}'}
        assert (await edge.get("/things/seen", headers=headers)).json()["kind"] == "anonymous"


class TestIds:
    async def test_are_taken_over(self, edge: httpx.AsyncClient) -> None:
        trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
        headers = {"x-request-id": "shop-1", "traceparent": trace}
        answer = await edge.get("/things/seen", headers=headers)
        assert answer.headers["x-request-id"] == answer.json()["request_id"] == "shop-1"
        assert answer.headers["traceparent"].split("-")[1] == "a" * 32
        assert answer.headers["traceparent"].split("-")[2] != "b" * 16
        assert answer.json()["traceparent"] == answer.headers["traceparent"]

    @pytest.mark.parametrize("value", ["", "a b", "x" * 129, 'q"', "<script>"])
    async def test_are_replaced_where_they_are_none(
        self, edge: httpx.AsyncClient, value: str
    ) -> None:
        headers = {"x-request-id": value, "traceparent": value}
        answer = await edge.get("/nothing", headers=headers)
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
        assert answer.headers["traceparent"].startswith("00-")


class TestAnswers:
    async def test_gzip(self, edge: httpx.AsyncClient) -> None:
        answer = await edge.get("/things/long")
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "accept-encoding"
        assert answer.text == "x" * 5000
        plain = await edge.get("/things/long", headers={"accept-encoding": "gzip;q=0, identity"})
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == "accept-encoding"
        assert plain.text == "x" * 5000

    async def test_short_and_packed_answers_stay(self, edge: httpx.AsyncClient) -> None:
        assert "content-encoding" not in (await edge.get("/things/seen")).headers
        assert (await edge.get("/things/packed")).content == bytes(range(256)) * 100

    @pytest.mark.parametrize("path", ["/things/long", "/things/seen", "/nothing"])
    async def test_head_is_get_without_the_body(self, edge: httpx.AsyncClient, path: str) -> None:
        head, got = await edge.head(path), await edge.get(path)
        assert head.status_code == got.status_code
        assert head.content == b""
        for name in ("content-type", "content-length"):
            assert head.headers[name] == got.headers[name]

    @pytest.mark.parametrize("given", ['"7-x"', 'W/"7-x"', '"1", "7-x"', "*"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_304(self, edge: httpx.AsyncClient, given: str, method: str) -> None:
        url = "/things/0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b70"
        answer = await edge.request(method, url, headers={"if-none-match": given})
        assert answer.status_code == 304
        assert answer.headers["etag"] == '"7-x"'
        assert answer.content == b""
        assert "content-length" not in answer.headers

    async def test_200_when_it_has_changed(self, edge: httpx.AsyncClient) -> None:
        url = "/things/0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b70"
        answer = await edge.get(url, headers={"if-none-match": '"7"'})
        assert answer.status_code == 200

    async def test_options(self, edge: httpx.AsyncClient) -> None:
        answer = await edge.options("/things")
        assert answer.status_code == 204
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


class TestCors:
    async def test_preflight(self, edge: httpx.AsyncClient) -> None:
        headers = {"origin": "https://shop.example", "access-control-request-method": "POST"}
        answer = await edge.options("/things", headers=headers)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["access-control-allow-methods"] == "GET, POST"
        assert "authorization" in answer.headers["access-control-allow-headers"]

    async def test_strangers_are_not_let_in(self, edge: httpx.AsyncClient) -> None:
        headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        for answer in (
            await edge.options("/things", headers=headers),
            await edge.get("/things/seen", headers={"origin": "https://evil.example"}),
        ):
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "origin"

    async def test_errors_can_be_read_too(self, edge: httpx.AsyncClient) -> None:
        answer = await edge.get("/nothing", headers={"origin": "https://shop.example"})
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "retry-after" in answer.headers["access-control-expose-headers"]


class TestSecurity:
    @pytest.mark.parametrize("path", ["/things/seen", "/nothing", "/things/healthz"])
    async def test_every_answer_tells_browsers_what_to_refrain_from(
        self, edge: httpx.AsyncClient, path: str
    ) -> None:
        headers = (await edge.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "strict-transport-security" not in headers


class TestAddress:
    @pytest.mark.parametrize(
        ("lines", "address"),
        [
            ([], "127.0.0.1"),
            (["203.0.113.9"], "203.0.113.9"),
            (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
            # Somebody on this machine, at the front door: he may say what he likes.
            (["203.0.113.9, 127.0.0.1"], "127.0.0.1"),
            (["203.0.113.9", "127.0.0.1"], "127.0.0.1"),
            (["203.0.113.9, ::1"], "::1"),
            (["somebody"], "127.0.0.1"),
            (["2001:db8::1"], "2001:db8::1"),
        ],
    )
    async def test_is_what_a_trusted_proxy_saw(
        self, edge: httpx.AsyncClient, lines: list[str], address: str
    ) -> None:
        headers = [("x-forwarded-for", line) for line in lines]
        assert (await edge.get("/things/seen", headers=headers)).json()["address"] == address


class TestHealth:
    async def test_every_service_has_it(self, edge: httpx.AsyncClient) -> None:
        assert (await edge.get("/things/healthz")).json() == {"status": "ok"}
        assert (await edge.get("/things/readyz")).json()["status"] == "ready"
        document = (await edge.get("/things/openapi.json")).json()
        assert document == openapi.document(completed(api))
        assert "/things/readyz" in document["paths"]
