"""The edge: what every replica does to every request, in one ASGI application.

Order: ids and trace, CORS preflight, routing, deadline, identity, scope, limits,
body size, arguments, handler, gzip, log, metrics. It is one class and not a stack
of middlewares because each layer of those costs as much as all of this together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send

from ecap import logs, spans
from ecap.config.protocol import Health
from ecap.config.settings.http import Http
from ecap.config.settings.limits import Limits
from ecap.errors import EcapError, Malformed, Overloaded, Retryable
from ecap.mesh.context import CallContext, own
from ecap.serve.edge import admission, bodies, cors, security
from ecap.serve.edge.access import Access, AccessLog
from ecap.serve.edge.bounds import Bounds
from ecap.serve.edge.deadline import Deadline
from ecap.serve.edge.parts import EdgeParts
from ecap.serve.edge.received import Received, received
from ecap.serve.endpoints import answers
from ecap.serve.endpoints.answers import Answer, Ended
from ecap.serve.endpoints.routing import Api, Call, Endpoint, Table

_log = logs.get("ecap.http")
Opening = Callable[[], AbstractAsyncContextManager[EdgeParts]]


class Edge:
    """An ASGI application: one service behind the edge.

    `answers_id` is False where the server adds X-Request-ID by itself.
    """

    def __init__(
        self, api: Api, opening: Opening, *, http: Http, rate: Limits, answers_id: bool = True
    ) -> None:
        self._service = api.service
        self._table = Table(api.endpoints)
        self._opening = opening
        self._bounds = Bounds(http, rate)
        self._answers_id = answers_id
        self._parts: EdgeParts | None = None
        self._access = AccessLog(api.service)

    def reconfigure(self, *, http: Http | None = None, rate: Limits | None = None) -> None:
        """For requests that begin now; those under way end as they began.

        Raises Misconfigured, and then nothing has changed.
        """
        self._bounds = Bounds(http or self._bounds.http, rate or self._bounds.rate)

    def health(self) -> Health:
        return self._access.recent.health()

    def tally(self) -> tuple[int, int]:
        """Requests, and those we failed, since the start."""
        return self._access.recent.tally()

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
            # What still comes is told to go elsewhere (503). Lines that wait for their timer are
            # written now, because the loop ends before it.
            self._parts = None
            self._access.flush()
        await send({"type": "lifespan.shutdown.complete"})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        bounds = self._bounds
        request = received(scope, bounds.client)
        self._access.in_flight += 1
        try:
            answer = await self._answer(bounds, request, scope, receive)
            self._dress(bounds, request, answer)
            ended = self._end_of(request) if answer.stream is not None else None
            await answers.send(answer, request.method, receive, send, ended=ended)
        finally:
            self._access.in_flight -= 1
        self._record(request, answer.status, time.perf_counter() - started)

    def _end_of(self, request: Received) -> Ended | None:
        """Of the access that a stream was opened with."""
        if self._parts is None or self._parts.revocations is None:
            return None
        return partial(self._parts.revocations.end_of, request.principal)

    async def _answer(
        self, bounds: Bounds, request: Received, scope: Scope, receive: Receive
    ) -> Answer:
        try:
            if cors.is_preflight(request.method, request.headers):
                found = self._table.find(request.path)
                return cors.preflight(bounds.http.cors, found[0] if found else ())
            return await self._dispatch(bounds, request, scope, receive)
        except EcapError as exc:
            if exc.status >= 500:
                _log.warning(exc.detail, extra={"problem": exc.slug, **request.ids})
            return answers.of_error(exc, request_id=request.request_id)
        except Exception:  # noqa: BLE001  the edge answers for every bug behind it
            _log.exception("unhandled error", extra=request.ids)
            return answers.of_error(EcapError("a bug"), request_id=request.request_id)

    async def _dispatch(
        self, bounds: Bounds, request: Received, scope: Scope, receive: Receive
    ) -> Answer:
        parts, rate = self._parts, bounds.rate
        if parts is None:
            raise Overloaded("starting or stopping")
        # PostgreSQL takes none in a text, and would make a failure of ours out of it.
        if "\x00" in request.path:
            raise Malformed("NUL characters are not allowed")
        found = self._table.find(request.path)
        if found is None:
            await admission.limit_address(parts, rate, request)
            detail = f"nothing is served at {request.path}"
            return answers.of_status(404, detail, request_id=request.request_id)
        methods, match = found
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            await admission.limit_address(parts, rate, request)
            return self._wrong_method(request, list(methods))
        request.route = endpoint.path
        deadline = Deadline(
            request.headers,
            own_s=endpoint.timeout_s or bounds.http.request_timeout_s,
            most_s=bounds.http.max_request_timeout_s,
        )
        try:
            # Over the body as well: who sends it slowly must not hold the request open.
            async with asyncio.timeout(deadline.timeout_s):
                await admission.admit(parts, rate, request, endpoint)
                with deadline.receiving():
                    body = await bodies.read(
                        receive,
                        request.headers,
                        limit_bytes=bounds.http.max_body_bytes,
                        expected=endpoint.body is not None,
                    )
                ctype = request.headers.get(b"content-type", b"").decode("latin-1")
                arguments = endpoint.arguments(match, scope["query_string"], body, ctype)
                result = await self._call(parts, request, endpoint, arguments, deadline.at)
        except TimeoutError as exc:
            raise deadline.passed() from exc
        except Retryable as exc:
            if deadline.made(exc):
                raise deadline.passed() from exc
            raise
        reads = request.method in ("GET", "HEAD")
        etag = request.headers.get(b"if-none-match") if reads else None
        return answers.of_result(result, endpoint, if_none_match=etag)

    async def _call(
        self,
        parts: EdgeParts,
        request: Received,
        endpoint: Endpoint,
        arguments: list[Any],
        deadline: float,
    ) -> Any:
        call: Call[Any] = Call(
            state=parts.state,
            principal=request.principal,
            headers=request.headers,
            address=request.address,
            request_id=request.request_id,
            traceparent=request.trace.traceparent,
            path=request.path,
            checks=parts.checks,
            member=parts.member,
        )
        around = CallContext(
            request.request_id,
            request.trace,
            request.principal,
            deadline=deadline,
            bearer=request.bearer,
            address=request.address,
        )
        # For the rest of the task and never put back: there is a task for each request. `use`,
        # which puts it back, stood here before.
        own(around)
        return await endpoint.handler(call, *arguments)

    def _wrong_method(self, request: Received, methods: list[str]) -> Answer:
        allowed = sorted({*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"})
        allow = (b"allow", ", ".join(allowed).encode())
        if request.method == "OPTIONS":
            return Answer(204, [allow])
        detail = f"{request.path} knows {', '.join(allowed)}"
        answer = answers.of_status(405, detail, request_id=request.request_id)
        answer.headers.append(allow)
        return answer

    def _dress(self, bounds: Bounds, request: Received, answer: Answer) -> None:
        answers.compress(
            answer,
            min_bytes=bounds.http.gzip_min_bytes,
            accept_encoding=request.headers.get(b"accept-encoding", b""),
        )
        if self._answers_id:
            answer.headers.append((b"x-request-id", request.request_id.encode()))
        answer.headers.append((b"traceparent", request.trace.traceparent.encode()))
        answer.headers.extend(request.limits)
        answer.headers.extend(security.headers(answer.headers, bounds.http))
        answer.headers.extend(cors.headers(bounds.http.cors, request.headers.get(b"origin")))

    def _record(self, request: Received, status: int, seconds: float) -> None:
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


def _span(request: Received, status: int, seconds: float) -> spans.Span:
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
