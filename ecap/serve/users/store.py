"""Profiles and addresses in PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ecap.clients.postgres import Connection, Pool, Record, load_queries
from ecap.domain.ids import new_id
from ecap.errors import Conflict, NotFound, PreconditionFailed
from ecap.serve.users.models import (
    MAX_ADDRESSES,
    Address,
    AddressChange,
    NewAddress,
    Profile,
    ProfileChange,
)

_SQL = load_queries("ecap.serve.users")


class Users:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, user_id: UUID) -> Profile | None:
        row = await self._pool.fetchrow(_SQL["profile"], user_id)
        return None if row is None else Profile.model_construct(**dict(row))

    async def profile(self, user_id: UUID) -> Profile:
        """Raises NotFound."""
        found = await self.find(user_id)
        if found is None:
            raise NotFound("no such user")
        return found

    async def create(
        self, user_id: UUID, *, email: str, display_name: str, registered_at: datetime
    ) -> None:
        """Nothing when it is there already."""
        await self._pool.execute(
            _SQL["create_profile"], user_id, email, display_name, registered_at
        )

    async def change(self, user_id: UUID, change: ProfileChange, *, version: int) -> Profile:
        """Raises NotFound, or PreconditionFailed when somebody was faster."""
        row = await self._pool.fetchrow(
            _SQL["change_profile"],
            user_id,
            change.display_name,
            change.phone,
            change.locale,
            version,
        )
        if row is None:
            await self.profile(user_id)
            raise PreconditionFailed("the profile has changed; get it again")
        return Profile.model_construct(**dict(row))

    async def addresses(self, user_id: UUID) -> tuple[Address, ...]:
        """Oldest first."""
        rows = await self._pool.fetch(_SQL["addresses"], user_id)
        return tuple(_address(row) for row in rows)

    async def address(self, user_id: UUID, address_id: UUID) -> Address:
        """Raises NotFound."""
        row = await self._pool.fetchrow(_SQL["address"], user_id, address_id)
        if row is None:
            raise NotFound("no such address")
        return _address(row)

    async def add_address(self, user_id: UUID, address: NewAddress) -> Address:
        """The first one is the default. Raises Conflict when there are too many."""
        address_id = new_id()
        async with self._pool.transaction() as conn:
            await _lock(conn, user_id)
            count: int = await conn.fetchval(_SQL["count_addresses"], user_id)
            if count >= MAX_ADDRESSES:
                raise Conflict(f"at most {MAX_ADDRESSES} addresses", limit=MAX_ADDRESSES)
            is_default = address.is_default or count == 0
            if is_default:
                await conn.execute(_SQL["clear_default"], user_id, address_id)
            row = await conn.fetchrow(
                _SQL["add_address"],
                address_id,
                user_id,
                address.label,
                address.recipient,
                address.line1,
                address.line2,
                address.city,
                address.region,
                address.postal_code,
                address.country,
                is_default,
            )
            assert row is not None
            return _address(row)

    async def change_address(
        self, user_id: UUID, address_id: UUID, change: AddressChange, *, version: int
    ) -> Address:
        """Raises NotFound, or PreconditionFailed when somebody was faster."""
        async with self._pool.transaction() as conn:
            await _lock(conn, user_id)
            if change.is_default:
                await conn.execute(_SQL["clear_default"], user_id, address_id)
            row = await conn.fetchrow(
                _SQL["change_address"],
                user_id,
                address_id,
                change.label,
                change.recipient,
                change.line1,
                change.line2,
                change.city,
                change.region,
                change.postal_code,
                change.country,
                change.is_default,
                version,
            )
            if row is None:
                if await conn.fetchrow(_SQL["address"], user_id, address_id) is None:
                    raise NotFound("no such address")
                raise PreconditionFailed("the address has changed; get it again")
            return _address(row)

    async def delete_address(self, user_id: UUID, address_id: UUID) -> None:
        """Raises NotFound."""
        if await self._pool.fetchval(_SQL["delete_address"], user_id, address_id) is None:
            raise NotFound("no such address")


async def _lock(conn: Connection, user_id: UUID) -> None:
    if await conn.fetchval(_SQL["lock_profile"], user_id) is None:
        raise NotFound("no such user")


def _address(row: Record) -> Address:
    return Address.model_construct(**dict(row))
