"""What a request brings along to everything done for it.

The context is kept in a contextvar, so a task started while answering a request
inherits it. The deadline is an instant of `time.monotonic()`; on the wire it is
the seconds that remain, because machines do not share that clock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import msgspec

from ecap import logs
from ecap.errors import Malformed
from ecap.mesh.identity import ANONYMOUS, Principal
from ecap.mesh.trace import Trace

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"
REQUEST_TIMEOUT = "x-request-timeout"
PRINCIPAL = "x-ecap-principal"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_encode_principal = msgspec.json.Encoder().encode
_decode_principal = msgspec.json.Decoder(Principal).decode


@dataclass(frozen=True, slots=True)
class CallContext:
    """`bearer` is the caller's access token, passed on where HTTP is spoken. `address` is where
    the request came from, known in the replica that took it."""

    request_id: str
    trace: Trace
    principal: Principal = ANONYMOUS
    deadline: float | None = None
    bearer: str | None = field(default=None, repr=False)
    address: str = ""

    @classmethod
    def new(cls, *, principal: Principal = ANONYMOUS, deadline: float | None = None) -> CallContext:
        """Work that nobody's request began."""
        return cls(new_request_id(), Trace.new(), principal, deadline)

    @classmethod
    def from_headers(
        cls,
        headers: Mapping[str, str],
        *,
        now: float,
        trusted: bool = False,
        default_timeout_s: float | None = None,
        max_timeout_s: float | None = None,
    ) -> CallContext:
        """The context of a request received at `now`, in a new span.

        Only a trusted caller (an actor call; never HTTP) may name the principal. A
        request id or traceparent that is not well formed is replaced, as both may
        come from anywhere; a wrong timeout raises Malformed.
        """
        timeout_s = _timeout_s(headers.get(REQUEST_TIMEOUT), default_timeout_s, max_timeout_s)
        principal = headers.get(PRINCIPAL) if trusted else None
        return cls(
            _request_id(headers.get(REQUEST_ID)),
            _span(headers.get(TRACEPARENT)),
            ANONYMOUS if principal is None else _principal(principal),
            None if timeout_s is None else now + timeout_s,
        )

    def remaining_s(self, now: float) -> float | None:
        """Seconds until the deadline, negative after it; None without one."""
        return None if self.deadline is None else self.deadline - now

    def to_headers(self, *, timeout_s: float | None, span: Trace | None = None) -> dict[str, str]:
        """Headers of an outgoing call, which has `timeout_s` to answer, in the child `span`."""
        span = span or self.trace.child()
        headers = {REQUEST_ID: self.request_id, TRACEPARENT: span.traceparent}
        if timeout_s is not None:
            headers[REQUEST_TIMEOUT] = f"{max(timeout_s, 0.0):.6f}"
        if self.principal.kind != "anonymous":
            headers[PRINCIPAL] = _encode_principal(self.principal).decode()
        return headers


_current: ContextVar[CallContext | None] = ContextVar("ecap_call_context", default=None)


def current() -> CallContext:
    """The context of the request being answered, or a new one outside of any."""
    return _current.get() or CallContext.new()


@contextmanager
def use(context: CallContext) -> Iterator[CallContext]:
    """Make `context` current, and put its ids on every log line written meanwhile."""
    token = _current.set(context)
    try:
        with logs.bind(**_ids(context)):
            yield context
    finally:
        _current.reset(token)


def own(context: CallContext) -> None:
    """Like `use`, for the rest of this task: for who has a task of its own for each request."""
    _current.set(context)
    logs.set_fields(_ids(context))


def _ids(context: CallContext) -> dict[str, str]:
    return {
        "request_id": context.request_id,
        "trace_id": context.trace.trace_id,
        "principal": context.principal.subject,
    }


def new_request_id() -> str:
    return os.urandom(16).hex()


def _request_id(header: str | None) -> str:
    if header is not None and _REQUEST_ID.fullmatch(header):
        return header
    return new_request_id()


def _span(header: str | None) -> Trace:
    caller = None if header is None else Trace.parse(header)
    return Trace.new() if caller is None else caller.child()


def _principal(header: str) -> Principal:
    try:
        return _decode_principal(header)
    except msgspec.DecodeError as exc:
        raise Malformed(f"{PRINCIPAL} is not a principal") from exc


def _timeout_s(header: str | None, default_s: float | None, max_s: float | None) -> float | None:
    if header is None:
        return default_s
    if not _SECONDS.fullmatch(header):
        raise Malformed(f"{REQUEST_TIMEOUT} must be a number of seconds", header=REQUEST_TIMEOUT)
    asked_s = float(header)
    return asked_s if max_s is None else min(asked_s, max_s)
