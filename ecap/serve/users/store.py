"""Profiles and addresses in PostgreSQL. Who somebody is and where they live is sealed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ecap.clients.postgres import Connection, Pool, Record
from ecap.clients.queries import load_queries
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.config.secrets.rows import SealedRows
from ecap.domain.values.ids import new_id
from ecap.errors import Conflict, NotFound, PreconditionFailed
from ecap.serve.users.models import (
    MAX_ADDRESSES,
    Address,
    AddressChange,
    NewAddress,
    Profile,
    ProfileChange,
)

_SQL = load_queries(__package__)
_PLAIN = {"is_default"}


class Users:
    def __init__(self, pool: Pool, keys: LiveKeyring) -> None:
        self._pool = pool
        self._profiles = SealedRows(keys, table="users.profiles")
        self._addresses = SealedRows(keys, table="users.addresses")

    async def find(self, user_id: UUID) -> Profile | None:
        row = await self._pool.fetchrow(_SQL["profile"], user_id)
        return None if row is None else await self._profile(row)

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
        sealed = self._profiles.seal(user_id, {"email": email, "display_name": display_name})
        await self._pool.execute(_SQL["create_profile"], user_id, sealed, registered_at)

    async def change(self, user_id: UUID, change: ProfileChange, *, version: int) -> Profile:
        """Raises NotFound, or PreconditionFailed when somebody was faster."""
        async with self._pool.transaction() as conn:
            row = await conn.fetchrow(_SQL["profile_to_change"], user_id)
            if row is None:
                raise NotFound("no such user")
            if row["version"] != version:
                raise PreconditionFailed("the profile has changed; get it again")
            given = change.model_dump(exclude_none=True, exclude={"locale"})
            before = await self._profile(row)
            kept = {"email": before.email, "display_name": before.display_name}
            fields = {**kept, "phone": before.phone, **given}
            sealed = self._profiles.seal(user_id, fields)
            changed = await conn.fetchrow(_SQL["change_profile"], user_id, sealed, change.locale)
            assert changed is not None
            return before.model_copy(update={**given, **dict(changed)})

    async def addresses(self, user_id: UUID) -> tuple[Address, ...]:
        """Oldest first."""
        rows = await self._pool.fetch(_SQL["addresses"], user_id)
        return tuple([await self._address(row) for row in rows])

    async def address(self, user_id: UUID, address_id: UUID) -> Address:
        """Raises NotFound."""
        row = await self._pool.fetchrow(_SQL["address"], user_id, address_id)
        if row is None:
            raise NotFound("no such address")
        return await self._address(row)

    async def add_address(self, user_id: UUID, address: NewAddress) -> Address:
        """The first one is the default. Raises Conflict when there are too many."""
        address_id = new_id()
        sealed = self._addresses.seal(address_id, address.model_dump(exclude=_PLAIN))
        async with self._pool.transaction() as conn:
            await _lock(conn, user_id)
            count: int = await conn.fetchval(_SQL["count_addresses"], user_id)
            if count >= MAX_ADDRESSES:
                raise Conflict(f"at most {MAX_ADDRESSES} addresses", limit=MAX_ADDRESSES)
            is_default = address.is_default or count == 0
            if is_default:
                await conn.execute(_SQL["clear_default"], user_id, address_id)
            row = await conn.fetchrow(_SQL["add_address"], address_id, user_id, sealed, is_default)
            assert row is not None
            return await self._address(row)

    async def change_address(
        self, user_id: UUID, address_id: UUID, change: AddressChange, *, version: int
    ) -> Address:
        """Raises NotFound, or PreconditionFailed when somebody was faster."""
        async with self._pool.transaction() as conn:
            await _lock(conn, user_id)
            row = await conn.fetchrow(_SQL["address"], user_id, address_id)
            if row is None:
                raise NotFound("no such address")
            if row["version"] != version:
                raise PreconditionFailed("the address has changed; get it again")
            if change.is_default:
                await conn.execute(_SQL["clear_default"], user_id, address_id)
            fields = await self._addresses.open(address_id, row["sealed"])
            fields |= change.model_dump(exclude=_PLAIN, exclude_none=True)
            sealed = self._addresses.seal(address_id, fields)
            changed = await conn.fetchrow(
                _SQL["change_address"], address_id, sealed, change.is_default
            )
            assert changed is not None
            return await self._address(changed)

    async def delete_address(self, user_id: UUID, address_id: UUID) -> None:
        """Raises NotFound."""
        if await self._pool.fetchval(_SQL["delete_address"], user_id, address_id) is None:
            raise NotFound("no such address")

    async def _profile(self, row: Record) -> Profile:
        values = dict(row)
        fields = await self._profiles.open(values["user_id"], values.pop("sealed"))
        return Profile.model_construct(**{"phone": "", **fields, **values})

    async def _address(self, row: Record) -> Address:
        values = dict(row)
        fields = await self._addresses.open(values["id"], values.pop("sealed"))
        return Address.model_construct(**{**fields, **values})


async def _lock(conn: Connection, user_id: UUID) -> None:
    if await conn.fetchval(_SQL["lock_profile"], user_id) is None:
        raise NotFound("no such user")
