"""What a declaration means: paths, arguments, and mistakes found at import."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import pytest

from ecap.errors import EcapError, Invalid, Malformed, NotFound, UnsupportedMedia
from ecap.mesh import Principal
from ecap.serve.endpoints.models import Model
from ecap.serve.endpoints.pages import PageQuery
from ecap.serve.endpoints.routing import Api, Call, Endpoint, Raw, Reply, Table


class Body(Model):
    name: str


api = Api("t", prefix="/t", title="T")


@api.get("", scope=None)
async def page(call: Call[None], query: PageQuery) -> Body:
    """List them. With a second sentence.

    And more.
    """
    raise NotImplementedError


@api.get("/me", scope=None)
async def me(call: Call[None]) -> None:
    raise NotImplementedError


@api.get("/{item_id}/parts/{number}", scope=None)
async def part(call: Call[None], item_id: UUID, number: int) -> Annotated[Raw, Body]:
    raise NotImplementedError


@api.get("/{name}", scope=None)
async def by_name(call: Call[None], name: str) -> Reply[Body]:
    raise NotImplementedError


@api.post("/{name}", scope="x")
async def post(call: Call[None], name: str, body: Body) -> Reply[Body]:
    raise NotImplementedError


TABLE = Table(api.endpoints)
ITEM = "0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b70"


def found(path: str, method: str = "GET") -> Endpoint:
    match = TABLE.find(path)
    assert match is not None
    return match[0][method]


def arguments(path: str, query: bytes = b"", body: bytes = b"", ctype: str = "") -> list[Any]:
    found = TABLE.find(path)
    assert found is not None
    methods, match = found
    method = "POST" if body else "GET"
    return methods[method].arguments(match, query, body, ctype)


def test_fixed_paths_come_first() -> None:
    assert found("/t").name == "page"
    assert found("/t/me").name == "me"
    assert found("/t/you").name == "by_name"
    assert found("/t/you", "POST").name == "post"


@pytest.mark.parametrize("path", ["", "/", "/t/", "/t/a/b", "/t/a/parts/", "/x"])
def test_nothing_else_is_found(path: str) -> None:
    assert TABLE.find(path) is None


def test_a_declaration_is_its_own_description() -> None:
    endpoint = found("/t")
    assert endpoint.summary == "List them. With a second sentence"
    assert endpoint.description == "And more."
    assert endpoint.response is Body
    assert found("/t/you").response is Body
    assert found(f"/t/{ITEM}/parts/1").response is Body


def test_parts_of_the_path_are_typed() -> None:
    assert arguments(f"/t/{ITEM}/parts/3") == [UUID(ITEM), 3]
    for path in (f"/t/{ITEM}/parts/x", "/t/nobody/parts/3", f"/t/{ITEM}/parts/{'9' * 5000}"):
        with pytest.raises(NotFound):
            arguments(path)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (b"limit=2&limit=3", Malformed),
        (b"cursor=%00", Malformed),
        (b"cursor=%C3%28", Malformed),
        (b"\xff=1", Malformed),
        (b"limit=many", Invalid),
        (b"other=1", Invalid),
        (b"limit=", Invalid),
    ],
)
def test_queries_are_checked(query: bytes, error: type[EcapError]) -> None:
    with pytest.raises(error):
        arguments("/t", query)


def test_a_query_is_a_model() -> None:
    assert arguments("/t", b"limit=7&cursor=a%20b") == [PageQuery(limit=7, cursor="a b")]
    assert arguments("/t") == [PageQuery()]


@pytest.mark.parametrize("ctype", ["application/json", "Application/JSON; charset=utf-8"])
def test_a_body_is_a_model(ctype: str) -> None:
    assert arguments("/t/x", body=b'{"name": "n"}', ctype=ctype) == ["x", Body(name="n")]


def test_a_body_of_another_kind() -> None:
    with pytest.raises(UnsupportedMedia):
        arguments("/t/x", body=b'{"name": "n"}', ctype="text/json")


async def wrong_names(call: Call[None], other: str) -> None: ...


async def wrong_order(call: Call[None], body: Body, name: str) -> None: ...


@pytest.mark.parametrize("handler", [wrong_names, wrong_order])
def test_a_wrong_declaration_is_found_at_once(handler: Any) -> None:
    with pytest.raises(TypeError):
        Api("u", prefix="/u", title="U").put("/{name}", scope=None)(handler)


def call_of(subject: str) -> Call[None]:
    return Call(None, Principal(subject, "user"), {b"if-match": b"x"}, "a", "r", "t", "/")


def test_a_call_knows_its_user() -> None:
    assert call_of(ITEM).user_id == UUID(ITEM)
    with pytest.raises(Invalid):
        _ = call_of("scraper").user_id
    assert call_of(ITEM).header("if-match") == "x"
    assert call_of(ITEM).header("accept") is None
    assert call_of(ITEM).now.tzinfo is not None
