"""Endpoints declared by their types: what they take, what they give, who may call.

    api = Api("orders", prefix="/api/v1/orders")

    @api.post("", status=201, scope="orders:write", errors=(Conflict,))
    async def place(call: Call[Orders], body: PlaceOrder) -> Order: ...

A parameter named `body` is the JSON body, `query` the query string, any other a
part of the path. The same declaration gives the OpenAPI document.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError

from ecap.config.member.member import Member
from ecap.errors import EcapError, Invalid, Malformed, NotFound, UnsupportedMedia
from ecap.mesh.identity import Principal

S = TypeVar("S")
B = TypeVar("B", bound=BaseModel)
Handler = Callable[..., Awaitable[Any]]
Check = Callable[[], Awaitable[None]]  # raises what is in the way of being ready
Limit = Literal["principal", "credentials"]
_PART = re.compile(r"\{(\w+)\}")


@dataclass(slots=True)
class Call(Generic[S]):
    """One request, as a handler sees it."""

    state: S
    principal: Principal
    headers: Mapping[bytes, bytes]
    address: str
    request_id: str
    traceparent: str
    path: str
    checks: Mapping[str, Check] = field(default_factory=dict)
    member: Member | None = None
    """As which the replica takes part in changes of configuration."""

    def header(self, name: str) -> str | None:
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def user_id(self) -> UUID:
        """The principal as a user; routes with a scope are only reached by those with one."""
        try:
            return UUID(self.principal.subject)
        except ValueError as exc:
            raise Invalid("this needs a user, not a service", field="authorization") from exc


@dataclass(frozen=True)
class Reply(Generic[B]):
    """An answer with more than a body. `etag` is quoted and compared by the edge."""

    body: B | None = None
    status: int | None = None
    etag: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that are not JSON of a model: metrics, a page, a stored answer."""

    body: bytes
    content_type: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Events:
    """A server-sent event stream; each item is one whole `text/event-stream` block. Of another
    type, its blocks are sent as they come."""

    blocks: AsyncIterator[bytes]
    content_type: str = "text/event-stream"


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    handler: Handler
    name: str
    summary: str
    description: str
    scope: str | None
    status: int
    errors: tuple[type[EcapError], ...]
    limit: Limit
    body: TypeAdapter[Any] | None
    query: type[BaseModel] | None
    params: Mapping[str, type]
    response: Any
    media: str
    headers: Mapping[str, str]
    timeout_s: float | None
    by_section: bool
    """Whether a scope for some settings only, as `config:write:fraud`, lets it pass too."""
    pattern: re.Pattern[str] = field(repr=False)

    def arguments(
        self, match: re.Match[str] | None, query: bytes, body: bytes, ctype: str
    ) -> list[Any]:
        """Raises NotFound, Malformed, Invalid or UnsupportedMedia."""
        values: list[Any] = [
            _path_value(match[name], kind) for name, kind in self.params.items() if match
        ]
        if self.query is not None:
            values.append(_query_value(self.query, query))
        if self.body is not None:
            values.append(_body_value(self.body, body, ctype))
        return values


def _path_value(text: str, kind: type) -> Any:
    if kind is str:
        return text
    try:
        return kind(text)
    except ValueError as exc:
        raise NotFound(f"{text!r} names nothing here") from exc


def _query_value(model: type[BaseModel], query: bytes) -> BaseModel:
    if b"%00" in query:
        raise Malformed("NUL characters are not allowed")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError) as exc:
        raise Malformed("the query string is not valid UTF-8") from exc
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Malformed("a query parameter stands twice")
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        raise _invalid(exc) from None


def _body_value(adapter: TypeAdapter[Any], body: bytes, content_type: str) -> Any:
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMedia("send application/json")
    if b"\\u0000" in body:
        raise Malformed("NUL characters are not allowed")
    try:
        return adapter.validate_json(body, strict=True)
    except ValidationError as exc:
        raise _invalid(exc) from None


def _invalid(exc: ValidationError) -> EcapError:
    found = exc.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Malformed(found[0]["msg"])
    errors = [{"field": ".".join(map(str, e["loc"])) or "body", "message": e["msg"]} for e in found]
    return Invalid(f"{errors[0]['field']}: {errors[0]['message']}", errors=errors[:20])


class Api:
    """The endpoints of one service, all below `prefix`."""

    def __init__(self, service: str, *, prefix: str, title: str) -> None:
        self.service = service
        self.prefix = prefix
        self.title = title
        self.endpoints: list[Endpoint] = []

    def _route(
        self,
        method: str,
        path: str,
        *,
        scope: str | None,
        status: int = 200,
        errors: tuple[type[EcapError], ...] = (),
        limit: Limit = "principal",
        media: str = "application/json",
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        by_section: bool = False,
    ) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            self.endpoints.append(
                _endpoint(
                    method,
                    self.prefix + path or "/",
                    handler,
                    scope=scope,
                    status=status,
                    errors=errors,
                    limit=limit,
                    media=media,
                    headers=headers or {},
                    timeout_s=timeout_s,
                    by_section=by_section,
                )
            )
            return handler

        return add

    def get(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("DELETE", path, **options)


def _endpoint(method: str, path: str, handler: Handler, **options: Any) -> Endpoint:
    hints = typing.get_type_hints(handler, include_extras=True)
    names = list(inspect.signature(handler).parameters)[1:]
    params = {n: hints[n] for n in names if n not in ("body", "query")}
    if list(params) != _PART.findall(path):
        raise TypeError(f"{handler.__name__}: parameters {list(params)} do not match {path}")
    if names != [*params, *(n for n in ("query", "body") if n in names)]:
        raise TypeError(f"{handler.__name__}: order is path parts, query, body")
    doc = inspect.getdoc(handler) or ""
    summary, _, description = doc.partition("\n")
    return Endpoint(
        method=method,
        path=path,
        handler=handler,
        name=handler.__name__,
        summary=summary.rstrip("."),
        description=description.strip(),
        body=TypeAdapter(hints["body"]) if "body" in hints else None,
        query=hints.get("query"),
        params=params,
        response=_answer_type(hints.get("return")),
        pattern=re.compile(_PART.sub(r"(?P<\1>[^/]+)", path)),
        **options,
    )


def _answer_type(hint: Any) -> Any:
    """`Annotated[Raw, Model]` promises the bytes of a model, such as a stored answer."""
    if typing.get_origin(hint) is typing.Annotated:
        return typing.get_args(hint)[1]
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Reply else hint


class Table:
    """Finds the endpoint of a request: by dictionary for fixed paths, else in order."""

    def __init__(self, endpoints: list[Endpoint]) -> None:
        self._fixed: dict[str, dict[str, Endpoint]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Endpoint]]] = []
        for endpoint in endpoints:
            if endpoint.params:
                self._add_pattern(endpoint)
            else:
                self._fixed.setdefault(endpoint.path, {})[endpoint.method] = endpoint

    def _add_pattern(self, endpoint: Endpoint) -> None:
        for pattern, methods in self._patterns:
            if pattern.pattern == endpoint.pattern.pattern:
                methods[endpoint.method] = endpoint
                return
        self._patterns.append((endpoint.pattern, {endpoint.method: endpoint}))

    def find(self, path: str) -> tuple[Mapping[str, Endpoint], re.Match[str] | None] | None:
        """The endpoints of this path by method, or None when nobody serves it."""
        methods = self._fixed.get(path)
        if methods is not None:
            return methods, None
        for pattern, by_method in self._patterns:
            match = pattern.fullmatch(path)
            if match:
                return by_method, match
        return None
