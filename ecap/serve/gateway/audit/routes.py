from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Protocol

from ecap.mesh import MeshClient
from ecap.serve.endpoints.pages import Page
from ecap.serve.endpoints.routing import Api, Call, Events, Reply
from ecap.serve.gateway.audit.models import AuditQuery, Entry
from ecap.serve.gateway.audit.names import named
from ecap.serve.gateway.audit.store import AuditLog


class HasAudit(Protocol):
    """Of what a gateway replica holds, what this needs."""

    @property
    def audit(self) -> AuditLog: ...

    @property
    def services(self) -> Callable[[str], MeshClient]: ...


api = Api("gateway", prefix="/api/v1/audit", title="ECAP security log")
_LINES = "application/x-ndjson"


@api.get("", scope="audit:read", media=_LINES, headers={"Accept": f"or `{_LINES}`: as `jsonl`"})
async def list_audit_entries(
    call: Call[HasAudit], query: AuditQuery
) -> Annotated[Reply[Page[Entry]] | Events, Page[Entry]]:
    """List who did what, and how it ended, the newest first.

    As JSON lines everything comes at once, with ids alone: `limit` is for pages.
    """
    wanted = query.format or ("jsonl" if call.header("accept") == _LINES else "json")
    if wanted == "jsonl":
        return Events(call.state.audit.lines(query), _LINES)
    page = await named(await call.state.audit.page(query), call.state.services("auth"))
    return Reply(page, headers=(("vary", "accept"),))
