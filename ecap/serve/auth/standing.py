"""Whether whoever writes still may: by the account, not by the token alone."""

from __future__ import annotations

from uuid import UUID

from ecap.clients.postgres import Connection, Pool
from ecap.clients.queries import load_queries
from ecap.domain.accounts.roles import scopes_of
from ecap.errors import Forbidden, Unauthenticated
from ecap.mesh.identity import Principal

_SQL = load_queries(__package__)


async def require_standing(db: Pool | Connection, principal: Principal, scope: str) -> None:
    """Raises Unauthenticated when the access has ended, Forbidden without the scope."""
    row = await db.fetchrow(
        _SQL["standing"], _uuid(principal.subject), _uuid(principal.session), principal.epoch
    )
    if row is None:
        raise Unauthenticated("this access has been ended; refresh it, or log in again")
    if scope not in scopes_of(row["roles"]):
        raise Forbidden(f"this needs the scope {scope}", scope=scope)


def _uuid(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None
