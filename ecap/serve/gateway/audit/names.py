"""Whose ids these are: asked of the service that has the accounts, with the caller's token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID

from ecap import logs
from ecap.errors import EcapError
from ecap.mesh import MeshClient
from ecap.serve.endpoints.pages import Page
from ecap.serve.gateway.audit.models import Entry

_log = logs.get("ecap.gateway")
_TIMEOUT_S = 1.0
_AT_ONCE = 100


def ids_of(entries: Iterable[Entry]) -> list[str]:
    """Of accounts, whoever has one."""
    return sorted({one for entry in entries for one in (entry.actor, entry.subject) if _is_id(one)})


async def named(page: Page[Entry], auth: MeshClient) -> Page[Entry]:
    """The entries with e-mails; without, while they cannot be had."""
    emails = await _emails(ids_of(page.items), auth)
    items = tuple(
        entry.model_copy(
            update={
                "actor_email": emails.get(entry.actor),
                "subject_email": emails.get(entry.subject),
            }
        )
        for entry in page.items
    )
    return page.model_copy(update={"items": items})


async def _emails(ids: list[str], auth: MeshClient) -> dict[str, str]:
    chunks = [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            found = await asyncio.gather(*(_asked(chunk, auth) for chunk in chunks))
    except (EcapError, TimeoutError) as exc:
        _log.warning("no e-mails for the security log", extra={"trouble": str(exc)})
        return {}
    return {user_id: email for part in found for user_id, email in part.items()}


async def _asked(ids: Iterable[str], auth: MeshClient) -> dict[str, str]:
    answer = await auth.call(f"GET /api/v1/auth/emails?ids={','.join(ids)}", idempotent=True)
    emails: dict[str, str] = answer["emails"]
    return emails


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
