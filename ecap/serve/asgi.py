"""The edge: what every replica does to every request, in one ASGI application.

Order: ids and trace, CORS preflight, limit by address, routing, identity, scope,
limit by principal, body size, arguments, deadline, handler, gzip, log, metrics.
It is one class and not a stack of middlewares because each layer of those costs
as much as all of this together.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.types import Message, Receive, Scope, Send

from ecap import logs, spans
from ecap.config.settings import Http, Limits
from ecap.errors import (
    DeadlineExceeded,
    EcapError,
    Forbidden,
    Malformed,
    Overloaded,
    TooLarge,
    Unauthenticated,
)
from ecap.mesh.context import REQUEST_ID, TRACEPARENT, CallContext, use
from ecap.mesh.identity import ANONYMOUS, Principal
from ecap.mesh.trace import Trace
from ecap.serve import limits, problems
from ecap.serve.access import Access, AccessLog
from ecap.serve.routing import Api, Call, Endpoint, Events, Raw, Reply, Table
from ecap.serve.tokens import TokenVerifier, bearer

_log = logs.get("ecap.http")
_JSON = b"application/json"
Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class EdgeParts:
    """What an edge needs of its process. `state` is handed to the handlers."""

    state: Any
    verifier: TokenVerifier
    limiter: limits.Limiter | None


Opening = Callable[[], AbstractAsyncContextManager[EdgeParts]]


@dataclass(slots=True)
class _Answer:
    status: int
    headers: list[Header]
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None


@dataclass(slots=True)
class _Request:
    method: str
    path: str
    headers: dict[bytes, bytes]
    request_id: str
    trace: Trace
    address: str
    principal: Principal = ANONYMOUS
    bearer: str | None = field(default=None, repr=False)
    route: str = "unmatched"


class Edge:
    """An ASGI application: one service behind the edge."""

    def __init__(self, api: Api, opening: Opening, *, http: Http, rate: Limits) -> None:
        self._service = api.service
        self._table = Table(api.endpoints)
        self._opening = opening
        self._http = http
        self._rate = rate
        self._client = limits.ClientAddress(http.trusted_proxies)
        self._parts: EdgeParts | None = None
        self._access = AccessLog(api.service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self._opening() as parts:
                self._parts = parts
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except EcapError as exc:
            await send({"type": "lifespan.startup.failed", "message": exc.detail})
            raise
        finally:
            self._parts = None
            self._access.flush()
        await send({"type": "lifespan.shutdown.complete"})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = dict(scope["headers"])
        origin = _origin(headers)
        peer = scope["client"][0] if scope.get("client") else "unknown"
        request = _Request(
            method=scope["method"],
            path=scope["path"],
            headers=headers,
            request_id=origin.request_id,
            trace=origin.trace,
            address=self._client.of(peer, headers),
        )
        self._access.in_flight += 1
        try:
            answer = await self._answer(request, scope, receive)
            await self._send(request, answer, send)
        finally:
            self._access.in_flight -= 1
        self._record(request, answer.status, time.perf_counter() - started)

    async def _answer(self, request: _Request, scope: Scope, receive: Receive) -> _Answer:
        try:
            if request.method == "OPTIONS" and b"access-control-request-method" in request.headers:
                return self._preflight(request)
            return await self._dispatch(request, scope, receive)
        except EcapError as exc:
            if exc.status >= 500:
                _log.warning(exc.detail, extra={"problem": exc.slug, **self._ids(request)})
            return _Answer(*_reordered(problems.of(exc, request_id=request.request_id)))
        except Exception:  # noqa: BLE001  the edge answers for every bug behind it
            _log.exception("unhandled error", extra=self._ids(request))
            return _Answer(
                *_reordered(
                    problems.of_status(
                        500,
                        detail="an unexpected error; its request id is in the log",
                        request_id=request.request_id,
                    )
                )
            )

    async def _dispatch(self, request: _Request, scope: Scope, receive: Receive) -> _Answer:
        parts = self._parts
        if parts is None:
            raise Overloaded("starting or stopping")
        if "\x00" in request.path:
            raise Malformed("NUL characters are not allowed")
        found = self._table.find(request.path)
        if found is None:
            await self._limit(parts, "a:" + request.address, self._rate.address)
            return self._plain(request, 404, f"nothing is served at {request.path}")
        methods, match = found
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            return self._wrong_method(request, list(methods))
        request.route = endpoint.path
        extra = await self._admit(parts, request, endpoint)
        body = await _read(receive, request.headers, self._http.max_body_bytes, endpoint)
        arguments = endpoint.arguments(
            match,
            scope["query_string"],
            body,
            request.headers.get(b"content-type", b"").decode("latin-1"),
        )
        result = await self._call(parts, request, endpoint, arguments)
        answer = self._result(request, endpoint, result)
        answer.headers.extend(extra)
        return answer

    async def _admit(
        self, parts: EdgeParts, request: _Request, endpoint: Endpoint
    ) -> Sequence[Header]:
        """Identity, scope and limits. Raises Unauthenticated, Forbidden or RateLimited."""
        token = bearer(request.headers.get(b"authorization"))
        if token is not None:
            found = parts.verifier.cached(token)
            if found is None:
                # A token costs a signature check: strangers are limited first.
                await self._limit(parts, "a:" + request.address, self._rate.address)
                found = await parts.verifier.verify(token)
            request.principal = found
            request.bearer = token
        if endpoint.scope is not None:
            if token is None:
                raise Unauthenticated("this needs an access token")
            if not request.principal.has(endpoint.scope):
                raise Forbidden(f"this needs the scope {endpoint.scope}", scope=endpoint.scope)
        if endpoint.limit == "credentials":
            return await self._limit(parts, "c:" + request.address, self._rate.credentials)
        if token is None:
            return await self._limit(parts, "a:" + request.address, self._rate.address)
        return await self._limit(parts, "p:" + request.principal.subject, self._rate.principal)

    async def _limit(self, parts: EdgeParts, key: str, bucket: Any) -> Sequence[Header]:
        if parts.limiter is None or not self._rate.enabled:
            return ()
        return limits.headers(await limits.admit(parts.limiter, key, bucket), bucket)

    async def _call(
        self, parts: EdgeParts, request: _Request, endpoint: Endpoint, arguments: list[Any]
    ) -> Any:
        timeout_s = self._timeout_s(request, endpoint)
        call: Call[Any] = Call(
            state=parts.state,
            principal=request.principal,
            headers=request.headers,
            address=request.address,
            request_id=request.request_id,
            traceparent=request.trace.traceparent,
            path=request.path,
        )
        around = CallContext(
            request.request_id,
            request.trace,
            request.principal,
            deadline=time.monotonic() + timeout_s,
            bearer=request.bearer,
        )
        with use(around):
            try:
                async with asyncio.timeout(timeout_s):
                    return await endpoint.handler(call, *arguments)
            except TimeoutError as exc:
                raise DeadlineExceeded(f"not done within {timeout_s:g} s") from exc

    def _timeout_s(self, request: _Request, endpoint: Endpoint) -> float:
        given = request.headers.get(b"x-request-timeout")
        if given is None:
            return endpoint.timeout_s or self._http.request_timeout_s
        try:
            wanted = float(given)
        except ValueError as exc:
            raise Malformed("X-Request-Timeout is a number of seconds") from exc
        if not 0 < wanted < float("inf"):
            raise Malformed("X-Request-Timeout has to be above zero")
        return min(wanted, self._http.max_request_timeout_s)

    def _result(self, request: _Request, endpoint: Endpoint, result: Any) -> _Answer:
        if isinstance(result, BaseModel):
            return _Answer(endpoint.status, [(b"content-type", _JSON)], _dump(result))
        if isinstance(result, Reply):
            return _from_reply(request, endpoint, result)
        if isinstance(result, Raw):
            headers = [(b"content-type", result.content_type.encode()), *_encoded(result.headers)]
            return _Answer(result.status, headers, result.body)
        if isinstance(result, Events):
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
            return _Answer(200, headers, stream=result.blocks)
        return _Answer(204, [])

    def _preflight(self, request: _Request) -> _Answer:
        found = self._table.find(request.path)
        methods = sorted(found[0]) if found else []
        headers = [
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (
                b"access-control-allow-headers",
                b"authorization, content-type, idempotency-key, if-match, if-none-match,"
                b" x-request-id, x-request-timeout, traceparent",
            ),
            (b"access-control-max-age", str(self._http.cors.max_age_s).encode()),
        ]
        return _Answer(204, headers)

    def _wrong_method(self, request: _Request, methods: list[str]) -> _Answer:
        allowed = sorted({*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"})
        allow = (b"allow", ", ".join(allowed).encode())
        if request.method == "OPTIONS":
            return _Answer(204, [allow])
        answer = self._plain(request, 405, f"{request.path} knows {', '.join(allowed)}")
        answer.headers.append(allow)
        return answer

    def _plain(self, request: _Request, status: int, detail: str) -> _Answer:
        return _Answer(
            *_reordered(problems.of_status(status, detail=detail, request_id=request.request_id))
        )

    def _ids(self, request: _Request) -> dict[str, str]:
        return {
            "request_id": request.request_id,
            "trace_id": request.trace.trace_id,
            "principal": request.principal.subject,
        }

    def _cors(self, request: _Request) -> Sequence[Header]:
        origins = self._http.cors.origins
        origin = request.headers.get(b"origin")
        if origin is None or not origins:
            return ()
        if "*" not in origins and origin.decode("latin-1") not in origins:
            return ((b"vary", b"origin"),)
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"etag, ratelimit, retry-after, x-request-id"),
            (b"vary", b"origin"),
        )

    async def _send(self, request: _Request, answer: _Answer, send: Send) -> None:
        headers = answer.headers
        headers.append((b"x-request-id", request.request_id.encode()))
        headers.append((b"traceparent", request.trace.traceparent.encode()))
        headers.extend(self._cors(request))
        if answer.stream is not None:
            await _send_stream(answer, send)
            return
        body = answer.body
        if len(body) >= self._http.gzip_min_bytes and _accepts_gzip(request.headers):
            body = gzip.compress(body, compresslevel=5, mtime=0)
            headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
        if answer.status not in (204, 304):
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if request.method == "HEAD":
            body = b""
        await send({"type": "http.response.body", "body": body})

    def _record(self, request: _Request, status: int, seconds: float) -> None:
        self._access.add(
            Access(
                time.time(),
                request.method,
                request.path,
                request.route,
                status,
                seconds,
                request.address,
                request.request_id,
                request.trace.trace_id,
                request.principal.subject,
            )
        )
        if spans.enabled() and request.trace.sampled:
            spans.add(_span(request, status, seconds))


def _span(request: _Request, status: int, seconds: float) -> spans.Span:
    """Attributes by OpenTelemetry's semantic conventions for HTTP servers."""
    end_ns = time.time_ns()
    return spans.Span(
        name=f"{request.method} {request.route}",
        kind="server",
        trace_id=request.trace.trace_id,
        span_id=request.trace.span_id,
        parent_id=request.trace.parent_id,
        start_ns=end_ns - int(seconds * 1e9),
        end_ns=end_ns,
        attributes={
            "http.request.method": request.method,
            "http.route": request.route,
            "url.path": request.path,
            "client.address": request.address,
            "http.response.status_code": status,
            "ecap.request_id": request.request_id,
        },
        error=str(status) if status >= 500 else None,
    )


def _origin(headers: dict[bytes, bytes]) -> CallContext:
    """Request id and trace of the caller where they are well formed, else new ones."""
    given = {
        name: headers[name.encode()].decode("latin-1")
        for name in (REQUEST_ID, TRACEPARENT)
        if name.encode() in headers
    }
    return CallContext.from_headers(given, now=0.0)


async def _read(
    receive: Receive, headers: dict[bytes, bytes], limit: int, endpoint: Endpoint
) -> bytes:
    """The whole body. Raises TooLarge before more than `limit` bytes are held."""
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > limit:
        raise TooLarge(f"at most {limit} bytes", limit_bytes=limit)
    if endpoint.body is None and length is None and b"transfer-encoding" not in headers:
        return b""
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("the request ended early")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"at most {limit} bytes", limit_bytes=limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _send_stream(answer: _Answer, send: Send) -> None:
    assert answer.stream is not None
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    async with aclosing(answer.stream) as blocks:  # type: ignore[type-var]
        async for block in blocks:
            await send({"type": "http.response.body", "body": block, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _from_reply(request: _Request, endpoint: Endpoint, reply: Reply[Any]) -> _Answer:
    headers = [*_encoded(reply.headers)]
    if reply.etag is not None:
        etag = f'"{reply.etag}"'.encode()
        headers.append((b"etag", etag))
        if request.method in ("GET", "HEAD") and _matches(
            request.headers.get(b"if-none-match"), etag
        ):
            return _Answer(304, headers)
    status = reply.status or endpoint.status
    if reply.body is None:
        return _Answer(204 if reply.status is None else status, headers)
    headers.append((b"content-type", _JSON))
    return _Answer(status, headers, _dump(reply.body))


def _matches(given: bytes | None, etag: bytes) -> bool:
    if given is None:
        return False
    tags = [tag.strip().removeprefix(b"W/") for tag in given.split(b",")]
    return b"*" in tags or etag in tags


def _dump(model: BaseModel) -> bytes:
    return model.__pydantic_serializer__.to_json(model, exclude_none=True)


def _encoded(headers: Sequence[tuple[str, str]]) -> list[Header]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]


def _reordered(problem: tuple[int, bytes, list[Header]]) -> tuple[int, list[Header], bytes]:
    status, body, headers = problem
    return status, headers, body


def _accepts_gzip(headers: dict[bytes, bytes]) -> bool:
    return b"gzip" in headers.get(b"accept-encoding", b"")
