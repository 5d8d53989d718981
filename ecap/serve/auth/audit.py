"""What auth tells the security log of the request that is being answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from ecap.clients import audit
from ecap.clients.postgres import Connection
from ecap.domain.events.audit import Action, AuditEntry, Outcome
from ecap.mesh import current

_NONE: Mapping[str, Any] = MappingProxyType({})


def told(
    action: Action,
    outcome: Outcome = "done",
    *,
    subject: UUID | str,
    actor: UUID | None = None,
    details: Mapping[str, Any] = _NONE,
) -> AuditEntry:
    """`actor` is whom the request has proven to be, where it brought no token."""
    context = current()
    principal = context.principal
    return AuditEntry(
        action=action,
        outcome=outcome,
        actor=principal.subject if actor is None else str(actor),
        actor_kind=principal.kind if actor is None else "user",
        subject=str(subject),
        address=context.address,
        request_id=context.request_id,
        details=dict(details),
    )


def by_itself(action: Action, *, subject: UUID, details: Mapping[str, Any] = _NONE) -> AuditEntry:
    """What nobody's request asked for."""
    return AuditEntry(
        action=action,
        outcome="done",
        actor="auth",
        actor_kind="system",
        subject=str(subject),
        details=dict(details),
    )


async def tell(conn: Connection, entry: AuditEntry, *, now: datetime) -> None:
    await audit.tell(conn, "auth", entry, now=now, traceparent=current().trace.traceparent)
