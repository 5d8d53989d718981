"""The gateway in front of real services."""

from __future__ import annotations

import asyncio
import gzip
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from functools import partial
from hashlib import sha256
from typing import Any

import httpx
import pytest
from integration.serve.front_door import Service, front_door
from integration.serve.serving import bearer
from integration.serve.shopping import OneShard, stocked

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.values.ids import new_id
from ecap.errors import Unavailable
from ecap.serve.auth.routes import api as auth_api
from ecap.serve.auth.service import opened as auth_opened
from ecap.serve.catalog.routes import api as catalog_api
from ecap.serve.catalog.service import opened as catalog_opened
from ecap.serve.endpoints.routing import Api
from ecap.serve.gateway.prefixes import PREFIXES
from ecap.serve.gateway.routes import api
from ecap.serve.gateway.service import opened
from ecap.serve.notifications.routes import api as notifications_api
from ecap.serve.notifications.service import opened as notifications_opened
from ecap.serve.orders.routes import api as orders_api
from ecap.serve.orders.service import opened as orders_opened
from ecap.serve.users.routes import api as users_api
from ecap.serve.users.service import opened as users_opened

SERVICES = (
    (api, opened),
    (auth_api, auth_opened),
    (users_api, users_opened),
    (catalog_api, catalog_opened),
)
AWAY = ["orders", "analytics", "fraud", "notifications"]
NEEDED = ("postgres", *(f"service {name}" for name in PREFIXES))


@pytest.fixture(scope="module")
async def door(settings: Settings, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """With half of the services; the others are away."""
    async with front_door(settings, *SERVICES) as client:
        yield client


async def new_customer(door: httpx.AsyncClient) -> dict[str, str]:
    body = {
        "email": f"{new_id().hex}@example.org",
        "password": "a long enough password",
        "display_name": "Some Body",
    }
    answer = await door.post("/api/v1/auth/register", json=body)
    return bearer(answer.json()["tokens"]["access_token"])


@pytest.fixture(scope="module")
async def customer(door: httpx.AsyncClient) -> dict[str, str]:
    return await new_customer(door)


class TestIndex:
    async def test_is_json_for_tools(self, door: httpx.AsyncClient) -> None:
        answer = await door.get("/")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["services"] == dict(PREFIXES)

    async def test_is_a_page_for_browsers(self, door: httpx.AsyncClient) -> None:
        answer = await door.get("/", headers={"accept": "text/html,application/xml;q=0.9"})
        assert answer.headers["content-type"].startswith("text/html")
        assert 'href="/docs"' in answer.text
        assert answer.headers["vary"].startswith("accept")

    async def test_names_pages_that_exist(self, door: httpx.AsyncClient) -> None:
        links = (await door.get("/")).json()["links"]
        ours = {path for name, path in links.items() if name != "live"}
        for path in ours:
            assert (await door.get(path)).status_code in (200, 401, 503), path


class TestDocumentation:
    async def test_is_one_document_of_what_runs(self, door: httpx.AsyncClient) -> None:
        whole = (await door.get("/openapi.json")).json()
        assert whole["openapi"] == "3.1.0"
        assert whole["info"]["x-unavailable"] == [n for n in PREFIXES if n in AWAY]
        for path in (
            "/readyz",
            "/api/v1/auth/login",
            "/api/v1/users/me",
            "/api/v1/catalog/products",
            "/api/v1/catalog/readyz",
        ):
            assert path in whole["paths"]

    async def test_every_reference_leads_somewhere(self, door: httpx.AsyncClient) -> None:
        whole = (await door.get("/openapi.json")).json()
        schemas = whole["components"]["schemas"]
        found = list(references(whole))
        assert found
        for reference in found:
            assert reference.removeprefix("#/components/schemas/") in schemas

    async def test_operations_have_names_of_their_own(self, door: httpx.AsyncClient) -> None:
        whole = (await door.get("/openapi.json")).json()
        names = [op["operationId"] for path in whole["paths"].values() for op in path.values()]
        assert len(names) == len(set(names))

    async def test_the_page_asks_no_other_site(self, door: httpx.AsyncClient) -> None:
        page = await door.get("/docs")
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "://" not in page.text
        for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
            assert name in page.text or name == "start.js"
            assert (await door.get(f"/docs/{name}")).status_code == 200

    @pytest.mark.parametrize("path", ["/", "/docs"])
    async def test_a_page_runs_nothing_that_was_slipped_in(
        self, door: httpx.AsyncClient, path: str
    ) -> None:
        page = await door.get(path, headers={"accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html")
        policy = dict(
            part.strip().partition(" ")[::2]
            for part in page.headers["content-security-policy"].split(";")
        )
        for name in ("default-src", "frame-ancestors", "base-uri", "form-action"):
            assert policy[name] == "'none'"
        assert "unsafe" not in policy.get("script-src", "") + policy["style-src"]
        assert not re.search(r"<script(?![^>]* src=)|\son\w+=|javascript:", page.text)
        for style in re.findall(r"<style>(.*?)</style>", page.text, flags=re.DOTALL):
            digest = b64encode(sha256(style.encode()).digest()).decode()
            assert policy["style-src"] == f"'sha256-{digest}'"
        assert "style=" not in page.text

    async def test_files_are_compressed_once_and_kept(self, door: httpx.AsyncClient) -> None:
        url = "/docs/swagger-ui-bundle.js"
        async with door.stream("GET", url, headers={"accept-encoding": "gzip"}) as answer:
            assert answer.headers["content-encoding"] == "gzip"
            packed = b"".join([chunk async for chunk in answer.aiter_raw()])
        plain = await door.get(url, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert gzip.decompress(packed) == plain.content
        again = await door.get(url, headers={"if-none-match": plain.headers["etag"]})
        assert again.status_code == 304

    @pytest.mark.parametrize("name", ["swagger-ui.js", "..%2F__init__.py", "VERSION"])
    async def test_other_files_are_not_served(self, door: httpx.AsyncClient, name: str) -> None:
        assert (await door.get(f"/docs/{name}")).status_code == 404


def references(node: Any) -> Any:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


class TestMetrics:
    async def test_are_for_the_scraper(self, door: httpx.AsyncClient, settings: Settings) -> None:
        assert settings.http.metrics_token is not None
        headers = bearer(settings.http.metrics_token.get_secret_value())
        answer = await door.get("/metrics", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        assert "ecap_http_requests_total" in answer.text

    async def test_the_scraper_may_do_nothing_else(
        self, door: httpx.AsyncClient, settings: Settings
    ) -> None:
        assert settings.http.metrics_token is not None
        headers = bearer(settings.http.metrics_token.get_secret_value())
        assert (await door.get("/api/v1/me/overview", headers=headers)).status_code == 403

    async def test_are_not_for_customers_and_strangers(
        self, door: httpx.AsyncClient, customer: dict[str, str], settings: Settings
    ) -> None:
        assert (await door.get("/metrics")).status_code == 401
        assert (await door.get("/metrics", headers=customer)).status_code == 403
        assert settings.http.metrics_token is not None
        nearly = settings.http.metrics_token.get_secret_value()[:-1]
        assert (await door.get("/metrics", headers=bearer(nearly))).status_code == 401


class TestOverview:
    async def test_a_part_that_is_away_leaves_the_others(
        self, door: httpx.AsyncClient, customer: dict[str, str]
    ) -> None:
        answer = await door.get("/api/v1/me/overview", headers=customer)
        assert answer.status_code == 200
        found = answer.json()
        assert found["profile"]["status"] == "ok"
        me = await door.get("/api/v1/users/me", headers=customer)
        assert found["profile"]["value"] == me.json()
        for part in ("orders", "notifications"):
            assert found[part]["status"] == "unavailable"
            assert found[part]["reason"]
            assert "value" not in found[part]

    async def test_has_every_part_of_the_callers_own(self, settings: Settings, pool: Pool) -> None:
        kettle = await stocked(pool)
        services: list[Service] = [
            *SERVICES,
            (orders_api, partial(orders_opened, decider=OneShard(settings))),
            (notifications_api, notifications_opened),
        ]
        async with front_door(settings, *services) as shop:
            one, other = [await new_customer(shop) for _ in range(2)]
            order = {
                "lines": [{"product_id": str(kettle), "quantity": 1}],
                "payment": {"card_token": "tok_visa_4242"},
                "device": {"id": "phone-1"},
            }
            headers = {**one, "idempotency-key": "first"}
            placed = await shop.post("/api/v1/orders", json=order, headers=headers)
            assert placed.status_code == 201, placed.text
            mine = (await shop.get("/api/v1/me/overview", headers=one)).json()
            theirs = (await shop.get("/api/v1/me/overview", headers=other)).json()
        for found in (mine, theirs):
            assert {part["status"] for part in found.values()} == {"ok"}
        assert [item["id"] for item in mine["orders"]["value"]["items"]] == [placed.json()["id"]]
        assert theirs["orders"]["value"]["items"] == []

    async def test_is_for_somebody(self, door: httpx.AsyncClient) -> None:
        assert (await door.get("/api/v1/me/overview")).status_code == 401


async def test_limits_are_those_of_the_caller(
    door: httpx.AsyncClient, customer: dict[str, str], settings: Settings
) -> None:
    stranger = (await door.get("/api/v1/limits")).json()
    known = (await door.get("/api/v1/limits", headers=customer)).json()
    assert stranger["counted_by"] == "address"
    assert stranger["requests"]["burst"] == settings.limits.address.burst
    assert known["counted_by"] == "principal"
    assert known["requests"]["burst"] == settings.limits.principal.burst


class Supervised:
    """Stands in for the actors: what the supervisor would say."""

    def __init__(self, **trouble: str | None) -> None:
        self.trouble = trouble

    def transport(self, actor: str) -> Supervised:
        return self

    def hub(self) -> None:
        return None

    def limiter(self, service: str) -> None:
        return None

    async def send(self, method: str, payload: Any, headers: Any, timeout_s: float) -> Any:
        if "supervisor" in self.trouble:
            raise Unavailable("supervisor has died")
        return {
            name: {
                "state": "running",
                "trouble": None,
                "health": {"ok": trouble is None, "trouble": trouble},
            }
            for name, trouble in self.trouble.items()
        }


def everything() -> list[Any]:
    """The gateway, three real services, and the health of four more."""
    empty = [(Api(name, prefix=PREFIXES[name], title=name), catalog_opened) for name in AWAY]
    return [*SERVICES, *empty]


async def readiness(door: httpx.AsyncClient, *well: str) -> httpx.Response:
    """Asked again until `well` are: a busy machine may be late with an answer."""
    async with asyncio.timeout(60):
        while True:
            answer = await door.get("/readyz")
            checks = answer.json()["checks"]
            if all(checks[name] == "ok" for name in well):
                return answer
            await asyncio.sleep(0.05)


class TestReadiness:
    async def test_names_what_is_down(self, door: httpx.AsyncClient) -> None:
        here = {f"service {name}" for name in PREFIXES if name not in AWAY}
        answer = await readiness(door, "postgres", *here)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        checks = answer.json()["checks"]
        for name in AWAY:
            assert checks[f"service {name}"] != "ok"
        assert (await door.get("/healthz")).status_code == 200

    async def test_is_ready_when_all_answer(self, settings: Settings, pool: Pool) -> None:
        async with front_door(settings, *everything()) as whole:
            answer = await readiness(whole, *NEEDED)
            assert answer.status_code == 200
            assert answer.json()["status"] == "ready"
            assert set(answer.json()["checks"].values()) == {"ok"}

    @pytest.mark.parametrize(
        ("trouble", "bad"),
        [
            ({"relay": "kafka: connection", "limits": None}, {"broker", "actor relay"}),
            ({"relay": None, "fraud-0": "backing off"}, {"actor fraud-0"}),
            ({"supervisor": "dead"}, {"actor supervisor"}),
        ],
    )
    async def test_is_degraded_while_actors_or_the_broker_are_away(
        self, settings: Settings, pool: Pool, trouble: dict[str, Any], bad: set[str]
    ) -> None:
        actors: Any = Supervised(**trouble)
        async with front_door(settings, *everything(), actors=actors) as whole:
            answer = await readiness(whole, *NEEDED)
        assert answer.status_code == 200
        found = answer.json()
        assert found["status"] == "degraded"
        assert {name for name, outcome in found["checks"].items() if outcome != "ok"} == bad

    async def test_is_red_without_postgres(self, settings: Settings) -> None:
        nowhere = settings.postgres.model_copy(update={"port": 1})
        here = settings.model_copy(update={"postgres": nowhere})
        async with front_door(here, *SERVICES) as alone:
            whole = await alone.get("/readyz")
            assert whole.status_code == 503
            assert whole.json()["checks"]["postgres"].startswith("postgres: ")
            one = await alone.get("/api/v1/catalog/readyz")
            assert one.status_code == 503
            assert one.json()["checks"]["postgres"].startswith("postgres: ")
            asked = await alone.get("/api/v1/catalog/products")
            assert asked.status_code == 503
            assert asked.headers["retry-after"]
            assert (await alone.get("/api/v1/catalog/healthz")).status_code == 200
