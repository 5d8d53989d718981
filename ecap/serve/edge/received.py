"""A request as it arrived: who sent it, under which ids."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.types import Scope

from ecap.mesh.context import REQUEST_ID, TRACEPARENT, CallContext
from ecap.mesh.identity import ANONYMOUS, Principal
from ecap.mesh.trace import Trace
from ecap.serve.edge.limits import ClientAddress


@dataclass(slots=True)
class Received:
    """Principal, bearer and route become known on the way through the edge."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    request_id: str
    trace: Trace
    address: str
    principal: Principal = ANONYMOUS
    bearer: str | None = field(default=None, repr=False)
    route: str = "unmatched"

    @property
    def ids(self) -> dict[str, str]:
        return {
            "request_id": self.request_id,
            "trace_id": self.trace.trace_id,
            "principal": self.principal.subject,
        }


def received(scope: Scope, client: ClientAddress) -> Received:
    headers = _headers(scope)
    origin = _origin(headers)
    peer = scope["client"][0] if scope.get("client") else "unknown"
    return Received(
        method=scope["method"],
        path=scope["path"],
        headers=headers,
        request_id=origin.request_id,
        trace=origin.trace,
        address=client.of(peer, headers),
    )


def _headers(scope: Scope) -> dict[bytes, bytes]:
    headers = dict(scope["headers"])
    if b"x-forwarded-for" in headers:
        # Each proxy may add a line of its own; the nearest one's comes last.
        lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        headers[b"x-forwarded-for"] = b",".join(lines)
    return headers


def _origin(headers: dict[bytes, bytes]) -> CallContext:
    """Request id and trace of the caller where they are well formed, else new ones."""
    given = {
        name: headers[name.encode()].decode("latin-1")
        for name in (REQUEST_ID, TRACEPARENT)
        if name.encode() in headers
    }
    return CallContext.from_headers(given, now=0.0)
