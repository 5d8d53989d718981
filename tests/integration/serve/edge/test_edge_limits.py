"""Who is counted, and what they are told, over real HTTP and the real ledger."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from integration.serve.serving import bearer, serving
from joserfc.jwk import OKPKey

from ecap.actors.limits.borrower import LeasedLimiter
from ecap.actors.limits.ledger import LimitLedger
from ecap.config import Settings
from ecap.config.settings.http import Http
from ecap.config.settings.limits import Bucket, Limits
from ecap.mesh.identity import ServiceIdentity
from ecap.serve.edge.asgi import Edge
from ecap.serve.edge.parts import EdgeParts
from ecap.serve.edge.tokens import TokenVerifier
from ecap.serve.endpoints.routing import Api, Call

Mint = Callable[..., str]
Limited = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
KEY = b"k" * 32
# So slow that nothing comes back while a test runs.
# Less than a setting may allow.
FEW = Bucket.model_construct(rate_per_s=0.01, burst=3)
MANY = Bucket.model_construct(rate_per_s=0.01, burst=1000)

api = Api("things", prefix="/things", title="Things")


@api.get("", scope=None)
async def things(call: Call[None]) -> None:
    """Do nothing."""


@api.get("/mine", scope="profile:read")
async def mine(call: Call[None]) -> None:
    """Do nothing for somebody."""


@api.post("/login", scope=None, limit="credentials")
async def login(call: Call[None]) -> None:
    """Do nothing for a password."""


@pytest.fixture
def limited(settings: Settings, signing_key: OKPKey) -> Limited:
    async def jwks() -> Any:
        return {"keys": [signing_key.as_dict(private=False)]}

    @asynccontextmanager
    async def limited(**buckets: Bucket) -> Any:
        ledger = LimitLedger()

        async def lease(requests: Any) -> Any:
            return ledger.lease(requests)

        limiter = LeasedLimiter(lease, service="things", lease_s=60.0)

        @asynccontextmanager
        async def opening() -> Any:
            verifier = TokenVerifier(
                jwks, issuer=settings.auth.issuer, audience=settings.auth.audience
            )
            identity = ServiceIdentity("things", key=KEY)
            yield EdgeParts(None, verifier, limiter, identity)
            await limiter.aclose()

        every = {"address": MANY, "principal": MANY, "credentials": MANY, **buckets}
        rate = Limits(**every)
        async with serving(Edge(api, opening, http=Http(), rate=rate)) as client:
            yield client

    return limited


async def statuses(
    client: httpx.AsyncClient, n: int, path: str = "/things", **kw: Any
) -> list[int]:
    method = "POST" if path.endswith("login") else "GET"
    return [(await client.request(method, path, **kw)).status_code for _ in range(n)]


async def test_429_says_when_to_come_back(limited: Limited) -> None:
    async with limited(address=FEW) as client:
        assert await statuses(client, 3) == [204] * 3
        answer = await client.get("/things")
    assert answer.status_code == 429
    assert answer.json()["type"] == "urn:ecap:problem:rate-limited"
    assert 1 <= int(answer.headers["retry-after"]) <= 100


async def test_an_answer_says_what_is_left(limited: Limited) -> None:
    async with limited(address=FEW) as client:
        answer = await client.get("/things")
    assert answer.headers["ratelimit-policy"] == '"default";q=3;w=300'
    assert answer.headers["ratelimit"].startswith('"default";r=')


async def test_addresses_have_buckets_of_their_own(limited: Limited) -> None:
    async with limited(address=FEW) as client:
        for address in ("203.0.113.1", "203.0.113.2"):
            found = await statuses(client, 4, headers={"x-forwarded-for": address})
            assert found == [204, 204, 204, 429]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("PATCH", "/things", 405), ("GET", "/things/mine", 401)],
)
async def test_refusals_say_what_is_left(
    limited: Limited, method: str, path: str, status: int
) -> None:
    async with limited(address=FEW) as client:
        token = bearer("a.b.c") if status == 401 else {}
        answers = [await client.request(method, path, headers=token) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [status] * 3 + [429]
    for answer in answers:
        assert answer.headers["ratelimit-policy"] == '"default";q=3;w=300'
        assert len(answer.headers.get_list("ratelimit")) == 1
    assert answers[0].headers["ratelimit"] == '"default";r=2;t=0'
    assert re.fullmatch(r'"default";r=0;t=[1-9]\d*', answers[3].headers["ratelimit"])


async def test_an_ipv6_client_has_one_bucket(limited: Limited) -> None:
    async with limited(address=FEW) as client:
        found = []
        for n in range(4):
            headers = {"x-forwarded-for": f"2001:db8:0:7:{n:x}::{n:x}"}
            found += await statuses(client, 1, headers=headers)
        assert found == [204, 204, 204, 429]
        neighbour = {"x-forwarded-for": "2001:db8:0:8::1"}
        assert await statuses(client, 1, headers=neighbour) == [204]


async def test_nobody_on_this_machine_chooses_his_bucket(limited: Limited) -> None:
    async with limited(address=FEW) as client:
        found = []
        for n in range(4):
            # As the front door passes it on that appends whom it saw.
            headers = {"x-forwarded-for": f"198.51.100.{n}, 127.0.0.1"}
            found += await statuses(client, 1, headers=headers)
    assert found == [204, 204, 204, 429]


async def test_principals_are_counted_wherever_they_are(limited: Limited, mint: Mint) -> None:
    async with limited(principal=FEW) as client:
        one, other = (bearer(mint("customer")) for _ in range(2))
        assert await statuses(client, 3, "/things/mine", headers=one) == [204] * 3
        elsewhere = {**one, "x-forwarded-for": "203.0.113.1"}
        assert await statuses(client, 1, "/things/mine", headers=elsewhere) == [429]
        assert await statuses(client, 1, "/things/mine", headers=other) == [204]


async def test_credentials_are_counted_by_address(limited: Limited) -> None:
    async with limited(credentials=FEW) as client:
        assert await statuses(client, 4, "/things/login") == [204, 204, 204, 429]
        assert await statuses(client, 1) == [204]


async def test_bad_tokens_are_counted_before_they_are_verified(limited: Limited) -> None:
    async with limited(address=FEW) as client:
        found = [
            (await client.get("/things/mine", headers=bearer(f"a.b.{n}"))).status_code
            for n in range(4)
        ]
    assert found == [401, 401, 401, 429]


async def test_looking_for_nothing_is_counted(limited: Limited) -> None:
    async with limited(address=FEW) as client:
        assert await statuses(client, 4, "/nothing") == [404, 404, 404, 429]


async def test_services_are_not_counted_again(limited: Limited, mint: Mint) -> None:
    async with limited(address=FEW, principal=FEW) as client:
        service = {"x-ecap-service": ServiceIdentity("orders", key=KEY).token("things")}
        assert await statuses(client, 5, headers=service) == [204] * 5
        both = {**service, **bearer(mint("customer"))}
        assert await statuses(client, 5, "/things/mine", headers=both) == [204] * 5
        forged = {"x-ecap-service": ServiceIdentity("orders", key=b"f" * 32).token("things")}
        assert await statuses(client, 1, headers=forged) == [401]
