"""Sessions: each refresh token is for one use, and a second use ends its whole session.

Whoever comes second is either a thief or the one stolen from; nobody can tell
which, so both have to log in again (RFC 9700, section 4.14.2).
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from ecap import logs
from ecap.clients.postgres import Connection, Pool, Record
from ecap.clients.queries import load_queries
from ecap.domain.events.audit import AuditEntry
from ecap.domain.values.ids import new_id
from ecap.errors import Unauthenticated
from ecap.serve.auth import audit
from ecap.serve.auth.models import Account
from ecap.serve.auth.people import People

_SQL = load_queries(__package__)
_log = logs.get("ecap.auth")


class Rotated(NamedTuple):
    account: Account
    token: str


class Sessions:
    def __init__(self, pool: Pool, people: People, *, ttl_s: float) -> None:
        self._pool = pool
        self._people = people
        self.reconfigure(ttl_s=ttl_s)

    def reconfigure(self, *, ttl_s: float) -> None:
        """For tokens given out from now on."""
        self._ttl = timedelta(seconds=ttl_s)

    async def open(self, user_id: UUID, *, now: datetime, told: AuditEntry | None = None) -> str:
        """The first refresh token of a new session; `told` commits with it."""
        session_id = new_id()
        async with self._pool.transaction() as conn:
            await conn.execute(_SQL["forget_expired_sessions"], user_id, now)
            await conn.execute(_SQL["open_session"], session_id, user_id, now, now + self._ttl)
            if told is not None:
                await audit.tell(conn, told, now=now)
            return await self._add_token(conn, session_id, now=now)

    async def rotate(self, token: str, *, now: datetime) -> Rotated:
        """Raises Unauthenticated for a token that is unknown, expired, revoked or used."""
        async with self._pool.transaction() as conn:
            row = await conn.fetchrow(_SQL["token"], _hash(token))
            trouble = _trouble(row, now)
            if row is not None and trouble is None:
                await conn.execute(_SQL["use_token"], _hash(token), now)
                # Used ones stay until they expire: a second use would look like an unknown token,
                # and end nothing.
                await conn.execute(_SQL["forget_expired_tokens"], row["session_id"], now)
                await conn.execute(_SQL["extend_session"], row["session_id"], now + self._ttl)
                account = await self._people.account(row)
                return Rotated(account, await self._add_token(conn, row["session_id"], now=now))
            if row is not None and row["used_at"] is not None:
                await conn.execute(_SQL["revoke_session"], row["session_id"], now)
                _log.warning("a refresh token came twice", extra={"user_id": str(row["id"])})
                # Once a session: what comes after its end is no news, and may come for ever.
                if row["revoked_at"] is None:
                    entry = audit.told("refresh.reused", "refused", subject=row["id"])
                    await audit.tell(conn, entry, now=now)
        # Raised after the transaction: the revocation has to be committed.
        raise Unauthenticated(trouble or "the refresh token is not valid")

    async def revoke(self, token: str, *, now: datetime) -> None:
        """Ends the session of a token; of an unknown one there is nothing to end."""
        async with self._pool.transaction() as conn:
            owner = await conn.fetchval(_SQL["revoke_session_of_token"], _hash(token), now)
            if owner is not None:
                await audit.tell(conn, audit.told("logout", subject=owner, actor=owner), now=now)

    async def _add_token(self, conn: Connection, session_id: UUID, *, now: datetime) -> str:
        token = secrets.token_urlsafe(32)
        await conn.execute(_SQL["add_token"], _hash(token), session_id, now + self._ttl)
        return token


def _trouble(row: Record | None, now: datetime) -> str | None:
    if row is None or row["revoked_at"] is not None or row["used_at"] is not None:
        return "the refresh token is not valid; log in again"
    if row["expires_at"] <= now:
        return "the refresh token has expired; log in again"
    if row["disabled_at"] is not None:
        return "the account is disabled"
    return None


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
