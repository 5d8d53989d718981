"""The documents tell what the edge does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest

from ecap.config.settings.services.deployments import ServiceName
from ecap.domain.accounts.roles import ROLE_SCOPES, scopes_of
from ecap.errors import Conflict
from ecap.runtime.services import service_of
from ecap.serve.endpoints import openapi
from ecap.serve.endpoints.models import Amount, Model
from ecap.serve.endpoints.pages import Page, PageQuery
from ecap.serve.endpoints.preconditions import IF_MATCH, IF_NONE_MATCH
from ecap.serve.endpoints.routing import Api, Call, Events, Raw, Reply
from ecap.serve.replica.health import completed


class Inner(Model):
    price: Amount


class Outer(Model):
    inner: Inner
    note: str | None = None


api = Api("shop", prefix="/shop", title="Shop")


@api.get("", scope=None)
async def page(call: Call[None], query: PageQuery) -> Page[Outer]:
    """List."""
    raise NotImplementedError


@api.post("/{name}", status=201, scope="shop:write", errors=(Conflict,), headers=IF_MATCH)
async def add(call: Call[None], name: str, body: Outer) -> Reply[Outer]:
    """Add.

    With care.
    """
    raise NotImplementedError


@api.get("/text", scope=None, media="text/plain")
async def text(call: Call[None]) -> Raw:
    """Read."""
    raise NotImplementedError


@api.get("/live", scope=None, media="text/event-stream", headers=IF_NONE_MATCH)
async def live(call: Call[None]) -> Events:
    """Listen."""
    raise NotImplementedError


DOCUMENT = openapi.document(api)


def operation(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method]
    return found


def references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def check(document: Mapping[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    names = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(names) == len(set(names))


def test_statuses() -> None:
    common = {"400", "401", "408", "413", "429", "503", "504"}
    assert set(operation("/shop", "get")["responses"]) == {"200", "422"} | common
    assert set(operation("/shop/{name}", "post")["responses"]) == (
        {"201", "403", "404", "409", "415", "422", "428"} | common
    )
    assert "304" in operation("/shop/live", "get")["responses"]


def test_scopes_and_parameters() -> None:
    added = operation("/shop/{name}", "post")
    assert added["security"] == [{"token": []}]
    assert added["x-scope"] == "shop:write"
    assert "security" not in operation("/shop", "get")
    assert [(p["name"], p["in"], p["required"]) for p in added["parameters"]] == [
        ("name", "path", True),
        ("If-Match", "header", True),
    ]
    asked = operation("/shop", "get")["parameters"]
    assert {p["name"]: p["schema"]["type"] for p in asked} == {
        "limit": "integer",
        "cursor": "string",
    }


def test_media() -> None:
    for path, media in (("/shop/text", "text/plain"), ("/shop/live", "text/event-stream")):
        assert list(operation(path, "get")["responses"]["200"]["content"]) == [media]
    problems = operation("/shop", "get")["responses"]["429"]
    assert list(problems["content"]) == ["application/problem+json"]
    assert "Retry-After" in problems["headers"]


def test_references_lead_somewhere() -> None:
    check(DOCUMENT)
    assert any(name.startswith("shop.") for name in DOCUMENT["components"]["schemas"])


def test_health_is_added_where_it_is_missing() -> None:
    whole = completed(api)
    paths = [endpoint.path for endpoint in whole.endpoints]
    assert {"/shop/healthz", "/shop/readyz", "/shop/openapi.json"} <= set(paths)
    assert len(api.endpoints) == 4
    assert [e.path for e in completed(whole).endpoints] == paths


def test_two_services_may_use_the_same_names() -> None:
    other = Api("other", prefix="/other", title="Other")

    class Inner(Model):
        weight: int

    class Outer(Model):
        inner: Inner

    async def get(call: Call[None]) -> Outer:
        """Get."""
        raise NotImplementedError

    get.__annotations__["return"] = Outer
    other.get("", scope=None)(get)
    merged = openapi.merge([DOCUMENT, openapi.document(other)], title="All")
    check(merged)
    assert set(merged["paths"]) == {*DOCUMENT["paths"], "/other"}


@pytest.mark.parametrize("service", ["auth", "users", "catalog", "gateway"])
def test_every_service_is_described(service: ServiceName) -> None:
    own = service_of(service).api
    document = openapi.document(completed(own))
    check(document)
    for path, methods in document["paths"].items():
        assert path.startswith(own.prefix)
        for one in methods.values():
            assert one["summary"], one["operationId"]


@pytest.mark.parametrize("service", get_args(ServiceName))
def test_a_scope_that_is_asked_for_is_somebodys(service: ServiceName) -> None:
    wanted = {one.scope for one in service_of(service).api.endpoints if one.scope}
    assert wanted <= scopes_of(ROLE_SCOPES)
