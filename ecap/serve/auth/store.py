"""Accounts in PostgreSQL; a registration commits together with its event."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from ecap.clients import outbox
from ecap.clients.postgres import Connection, Pool, Record
from ecap.clients.queries import load_queries
from ecap.config.secrets.keyring.ring import PREFIX
from ecap.domain.accounts.roles import Role
from ecap.domain.events.audit import AuditEntry
from ecap.domain.events.envelope import new_event
from ecap.domain.events.users import UserRegistered
from ecap.domain.values.ids import new_id
from ecap.errors import Conflict, NotFound, PreconditionFailed
from ecap.mesh import Principal, current
from ecap.serve.auth import audit
from ecap.serve.auth.models import Account, AccountChange, AccountQuery
from ecap.serve.auth.people import People
from ecap.serve.auth.standing import require_standing
from ecap.serve.edge import revocations
from ecap.serve.endpoints.pages import Page, moment_cursor, next_cursor

_SQL = load_queries(__package__)
_ADMIN_LOCK = 0x45434150_0002


class Known(NamedTuple):
    account: Account
    password_hash: str
    epoch: int


class Accounts:
    def __init__(self, pool: Pool, people: People) -> None:
        self._pool = pool
        self._people = people

    async def add(
        self,
        email: str,
        password_hash: str,
        display_name: str,
        *,
        roles: Collection[Role],
        now: datetime,
        by_itself: bool = False,
    ) -> Known:
        """`by_itself`: nobody's request asked for it. Raises Conflict when the e-mail is taken,
        in whatever case it was typed."""
        user_id = new_id()
        sealed = self._people.seal(user_id, email=email, display_name=display_name)
        email_hash = await self._people.hash(email)
        async with self._pool.transaction() as conn:
            row = await conn.fetchrow(
                _SQL["add"], user_id, sealed, email_hash, password_hash, sorted(roles), now
            )
            if row is None:
                raise Conflict("this e-mail is taken", field="email")
            await _announce(conn, user_id, sealed, now=now)
            tells = audit.by_itself if by_itself else audit.told
            entry = tells("account.created", subject=user_id, details={"roles": sorted(roles)})
            await audit.tell(conn, entry, now=now)
            return await self._known(row)

    async def account(self, user_id: UUID) -> Account:
        """Raises NotFound."""
        return (await self.known(user_id)).account

    async def known(self, user_id: UUID) -> Known:
        """Raises NotFound."""
        row = await self._pool.fetchrow(_SQL["account"], user_id)
        if row is None:
            raise NotFound("no such account")
        return await self._known(row)

    async def by_email(self, email: str) -> Known | None:
        row = await self._pool.fetchrow(_SQL["account_by_email"], await self._people.hash(email))
        if row is None:
            return None
        return await self._known(row)

    async def _known(self, row: Record) -> Known:
        return Known(await self._people.account(row), row["password_hash"], row["epoch"])

    async def page(self, query: AccountQuery) -> Page[Account]:
        after = moment_cursor(query.cursor)
        email_hash = await self._people.hash(query.email) if query.email else None
        rows = await self._pool.fetch(_SQL["page"], email_hash, *after, query.limit + 1)
        items = tuple([await self._people.account(row) for row in rows[: query.limit]])
        return Page(items=items, next_cursor=next_cursor(rows, query.limit, "created_at", "id"))

    async def change(
        self,
        user_id: UUID,
        change: AccountChange,
        *,
        by: Principal,
        version: int,
        now: datetime,
    ) -> Account:
        """Ends the access that was given before. Raises NotFound, PreconditionFailed, Conflict
        when no administrator would be left, or what `require_standing` raises about `by`."""
        roles = None if change.roles is None else sorted(change.roles)
        async with self._pool.transaction() as conn:
            await conn.execute(_SQL["one_admin_change"], _ADMIN_LOCK)
            # Under the lock: of two who disable each other, the second is nobody any more.
            await require_standing(conn, by, "auth:admin")
            before = await conn.fetchrow(_SQL["account"], user_id)
            row = await conn.fetchrow(_SQL["change"], user_id, roles, change.disabled, now, version)
            if before is None:
                raise NotFound("no such account")
            if row is None:
                raise PreconditionFailed("the account has changed; get it again")
            if not await conn.fetchval(_SQL["has_admin"]):
                raise Conflict("this is the last administrator")
            account = await self._people.account(row)
            if account.disabled:
                await conn.execute(_SQL["revoke_sessions"], user_id, now)
            if entry := _changed(before, row):
                await audit.tell(conn, entry, now=now)
            # Among the last: it holds a lock that all endings want.
            await revocations.end_account(conn, str(user_id), epoch=row["epoch"], now=now)
            return account

    async def set_password(
        self, user_id: UUID, password_hash: str, *, checked: str, now: datetime
    ) -> int:
        """Ends all sessions; answers the new epoch. `checked` is the hash the present
        password was compared with; raises Conflict when it is no longer the one kept."""
        async with self._pool.transaction() as conn:
            row = await conn.fetchrow(_SQL["set_password"], user_id, password_hash, checked)
            if row is None:
                raise Conflict("the password was changed by somebody else")
            await audit.tell(conn, audit.told("password.changed", subject=user_id), now=now)
            return await _end_all(conn, user_id, now=now)

    async def end_sessions(self, user_id: UUID, *, now: datetime) -> None:
        """Raises NotFound."""
        async with self._pool.transaction() as conn:
            entry = audit.told("logout", subject=user_id, details={"sessions": "all"})
            await audit.tell(conn, entry, now=now)
            await _end_all(conn, user_id, now=now)

    async def rehash(self, user_id: UUID, password_hash: str, *, checked: str) -> None:
        await self._pool.execute(_SQL["set_password"], user_id, password_hash, checked)


async def _end_all(conn: Connection, user_id: UUID, *, now: datetime) -> int:
    """The new epoch."""
    epoch: int | None = await conn.fetchval(_SQL["end_epoch"], user_id)
    if epoch is None:
        raise NotFound("no such account")
    await conn.execute(_SQL["revoke_sessions"], user_id, now)
    await revocations.end_account(conn, str(user_id), epoch=epoch, now=now)
    return epoch


def _changed(before: Record, after: Record) -> AuditEntry | None:
    """None when nothing did."""
    sides = [
        {"roles": sorted(row["roles"]), "disabled": row["disabled_at"] is not None}
        for row in (before, after)
    ]
    changed = {
        name: {"from": sides[0][name], "to": sides[1][name]}
        for name in sides[0]
        if sides[0][name] != sides[1][name]
    }
    return audit.told("account.changed", subject=after["id"], details=changed) if changed else None


async def _announce(conn: Connection, user_id: UUID, sealed: bytes, *, now: datetime) -> None:
    event = new_event(
        UserRegistered(user_id=user_id, sealed=PREFIX + sealed.decode()),
        key=str(user_id),
        producer="auth",
        now=now,
        traceparent=current().trace.traceparent,
    )
    await outbox.append(conn, "auth", "accounts", [event])
