"""A request as it arrived: who sent it, under which ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.types import Scope

from ecap.mesh.context import REQUEST_ID, TRACEPARENT, CallContext
from ecap.mesh.identity import ANONYMOUS, Principal
from ecap.mesh.trace import Trace
from ecap.serve.edge.limits import ClientAddress, client_of
from ecap.serve.endpoints.answers import Header


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
    limits: Sequence[Header] = ()
    """What the answer says of the bucket that the request was counted in."""

    @property
    def client(self) -> str:
        """Whom its address stands for where callers are counted."""
        return client_of(self.address)

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


# A list may stand in several lines; each proxy may add one, and the nearest one's comes last.
_LISTS = (b"x-forwarded-for", b"if-match", b"if-none-match")


def _headers(scope: Scope) -> dict[bytes, bytes]:
    headers = dict(scope["headers"])
    for listed in _LISTS:
        if listed in headers:
            lines = [value for name, value in scope["headers"] if name == listed]
            headers[listed] = b",".join(lines)
    return headers


def _origin(headers: dict[bytes, bytes]) -> CallContext:
    """Request id and trace of the caller where they are well formed, else new ones."""
    given = {
        name: headers[name.encode()].decode("latin-1")
        for name in (REQUEST_ID, TRACEPARENT)
        if name.encode() in headers
    }
    return CallContext.from_headers(given, now=0.0)
