"""Sessions: each refresh token is for one use, and a second use ends its whole session.

Whoever comes second is either a thief or the one stolen from; nobody can tell
which, so both have to log in again (RFC 9700, section 4.14.2). For a short grace the
second is taken for another tab, or for an answer that was lost: it gets the same
successor, which rests meanwhile sealed under a key that only the used token gives.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from cryptography.fernet import Fernet

from ecap import logs
from ecap.clients.postgres import Connection, Pool, Record
from ecap.clients.queries import load_queries
from ecap.config.settings.services.auth import Auth
from ecap.domain.events.audit import AuditEntry
from ecap.domain.values.ids import new_id
from ecap.errors import NotFound, Retryable, Unauthenticated
from ecap.serve.auth import audit
from ecap.serve.auth.models import Account, Session, SessionQuery
from ecap.serve.auth.people import People
from ecap.serve.edge import revocations
from ecap.serve.endpoints.pages import Page, moment_cursor, page

_SQL = load_queries(__package__)
_log = logs.get("ecap.auth")
_ERASE_S = 1.0


class Grant(NamedTuple):
    """What tokens are made of. `epoch` is that of the account when it was looked at."""

    session_id: UUID
    epoch: int
    refresh_token: str
    access_until: datetime


class Sessions:
    def __init__(self, pool: Pool, people: People, settings: Auth) -> None:
        self._pool = pool
        self._people = people
        self.reconfigure(settings)

    def reconfigure(self, settings: Auth) -> None:
        """For tokens given out from now on, and for the age of all sessions."""
        self._ttl = timedelta(seconds=settings.refresh_ttl_s)
        self._access_ttl = timedelta(seconds=settings.access_ttl_s)
        self._grace = timedelta(seconds=settings.refresh_grace_s)
        self._life = timedelta(seconds=settings.session_ttl_s)

    async def open(
        self, user_id: UUID, *, epoch: int, now: datetime, told: AuditEntry | None = None
    ) -> Grant:
        """The first tokens of a new session; `told` commits with them. Raises Unauthenticated
        when access to the account was ended since `epoch` was read."""
        session_id = new_id()
        token, expires_at, access_until = self._new_token(now, now)
        async with self._pool.transaction() as conn:
            await conn.execute(_SQL["forget_expired_sessions"], user_id, now)
            opened = await conn.fetchrow(
                _SQL["open_session"], session_id, user_id, epoch, now, expires_at, access_until
            )
            if opened is None:
                raise Unauthenticated("the account has just changed; log in again")
            await conn.execute(_SQL["add_token"], _hash(token), session_id, expires_at)
            if told is not None:
                await audit.tell(conn, told, now=now)
        return Grant(session_id, epoch, token, access_until)

    async def rotate(self, token: str, *, now: datetime) -> tuple[Account, Grant]:
        """Raises Unauthenticated for a token that is unknown, expired, revoked or used."""
        async with self._pool.transaction() as conn:
            row = await conn.fetchrow(_SQL["token"], _hash(token))
            if row is not None and row["used_at"] is not None and not _is_graced(row, now):
                if await _end(conn, _SQL["revoke_session"], row["session_id"], None, now=now):
                    _log.warning("a refresh token came twice", extra={"user_id": str(row["id"])})
                    # Once a session: what comes after its end is no news, and may come for ever.
                    entry = audit.told("refresh.reused", "refused", subject=row["id"])
                    await audit.tell(conn, entry, now=now)
                row = None
            trouble = self._trouble(row, now)
            if row is not None and trouble is None:
                account = await self._people.account(row)
                return account, await self._granted(conn, row, token, now=now)
        # Raised after the transaction: the revocation has to be committed.
        raise Unauthenticated(trouble or "the refresh token is not valid")

    async def _granted(self, conn: Connection, row: Record, token: str, *, now: datetime) -> Grant:
        """Of a locked row without trouble: the next token, or for a repeat the same again."""
        successor, expires_at, access_until = self._new_token(now, row["began_at"])
        session_id = row["session_id"]
        if row["used_at"] is None:
            sealed = _sealer(token).encrypt(successor.encode()) if self._grace else None
            await conn.execute(_SQL["use_token"], _hash(token), now, sealed, now + self._grace)
            # Used ones stay until they expire: a second use would look like an unknown token,
            # and end nothing.
            await conn.execute(_SQL["forget_expired_tokens"], session_id, now)
            await conn.execute(_SQL["add_token"], _hash(successor), session_id, expires_at)
            await conn.execute(_SQL["extend_session"], session_id, expires_at)
        else:
            successor = _sealer(token).decrypt(row["successor"]).decode()
        await conn.execute(_SQL["refresh_session"], session_id, now, access_until)
        return Grant(session_id, row["epoch"], successor, access_until)

    async def revoke(self, token: str, *, now: datetime) -> None:
        """Ends the session of a token; of an unknown one there is nothing to end."""
        async with self._pool.transaction() as conn:
            owner = await _end(conn, _SQL["revoke_session_of_token"], _hash(token), now=now)
            if owner is not None:
                await audit.tell(conn, audit.told("logout", subject=owner, actor=owner), now=now)

    async def end(self, session_id: UUID, *, user_id: UUID | None, now: datetime) -> None:
        """Raises NotFound for one that has ended, or is not of `user_id`; None: of anybody."""
        async with self._pool.transaction() as conn:
            owner = await _end(conn, _SQL["revoke_session"], session_id, user_id, now=now)
            if owner is None:
                raise NotFound("no such session")
            await audit.tell(conn, audit.told("logout", subject=owner), now=now)

    async def page(self, user_id: UUID, query: SessionQuery, *, now: datetime) -> Page[Session]:
        """Those that can still be refreshed, newest first."""
        after = moment_cursor(query.cursor)
        began_after = now - self._life
        rows = await self._pool.fetch(
            _SQL["sessions"], user_id, now, began_after, *after, query.limit + 1
        )
        return page(rows, query.limit, self._session, by=("created_at", "id"))

    def _session(self, row: Record) -> Session:
        return Session(
            id=row["id"],
            created_at=row["created_at"],
            refreshed_at=row["refreshed_at"],
            expires_at=row["expires_at"],
            ends_at=row["created_at"] + self._life,
        )

    async def erase(self) -> None:
        """Successors whose grace is over. Never ends by itself."""
        while True:
            try:
                await self._pool.execute(_SQL["erase_successors"], datetime.now(UTC))
            except Retryable as exc:
                _log.warning("successors of tokens are not erased", extra={"error": exc.detail})
            await asyncio.sleep(_ERASE_S)

    def _new_token(self, now: datetime, began_at: datetime) -> tuple[str, datetime, datetime]:
        """With its expiry and that of the access token beside it: no later than the session's."""
        end = began_at + self._life
        token = secrets.token_urlsafe(32)
        return token, min(now + self._ttl, end), min(now + self._access_ttl, end)

    def _trouble(self, row: Record | None, now: datetime) -> str | None:
        if row is None or row["revoked_at"] is not None:
            return "the refresh token is not valid; log in again"
        if row["expires_at"] <= now or row["began_at"] + self._life <= now:
            return "the refresh token has expired; log in again"
        if row["disabled_at"] is not None:
            return "the account is disabled"
        return None


async def _end(conn: Connection, revoke: str, *which: object, now: datetime) -> UUID | None:
    """Whose session it was, None when there was none to end; its access tokens end with it."""
    row = await conn.fetchrow(revoke, now, *which)
    if row is None:
        return None
    await revocations.end_session(conn, str(row["id"]), access_until=row["access_until"], now=now)
    owner: UUID = row["user_id"]
    return owner


def _is_graced(row: Record, now: datetime) -> bool:
    return row["successor"] is not None and now < row["successor_until"]


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _sealer(token: str) -> Fernet:
    """Under a key that the hash of the token, which is kept, does not give."""
    key = hmac.digest(token.encode(), b"ecap: successor of a refresh token", "sha256")
    return Fernet(base64.urlsafe_b64encode(key))
