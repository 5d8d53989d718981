"""Who an account belongs to: e-mail and name are sealed, and found by a keyed hash of the e-mail.

Whoever reads the database cannot even ask whether somebody has an account here.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection
from uuid import UUID

from ecap.clients.postgres import Pool, Record
from ecap.clients.queries import load_queries
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.config.secrets.rows import SealedRows
from ecap.serve.auth.models import Account

_SQL = load_queries(__package__)

# Of the key in auth.lookup_keys.
_LOOKUP_KEY = "email"


class People:
    def __init__(self, pool: Pool, keys: LiveKeyring) -> None:
        self._pool = pool
        self._keys = keys
        self._rows = SealedRows(keys, table="auth.users")
        self._lookup_key: bytes | None = None

    def seal(self, user_id: UUID, *, email: str, display_name: str) -> bytes:
        """Raises Unavailable while the keyring has not been seen for too long."""
        return self._rows.seal(user_id, {"email": email, "display_name": display_name})

    async def hash(self, email: str) -> bytes:
        """The same for every way to write its case. Raises Unavailable, Misconfigured."""
        return await self._digest(email.lower())

    async def hash_address(self, address: str) -> bytes:
        """Apart from every e-mail: none holds a space. Raises Unavailable, Misconfigured."""
        return await self._digest(f"address {address}")

    async def _digest(self, text: str) -> bytes:
        if self._lookup_key is None:
            self._lookup_key = await self._agree()
        return hmac.digest(self._lookup_key, text.encode(), "sha256")

    async def account(self, row: Record) -> Account:
        """Raises Misconfigured naming the row when no key opens it."""
        fields = await self._rows.open(row["id"], row["sealed"])
        return Account.model_construct(
            id=row["id"],
            email=fields["email"],
            display_name=fields["display_name"],
            roles=tuple(row["roles"]),
            disabled=row["disabled_at"] is not None,
            version=row["version"],
            created_at=row["created_at"],
        )

    async def emails(self, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """Of those that exist."""
        rows = await self._pool.fetch(_SQL["sealed_accounts"], list(user_ids))
        return {
            row["id"]: (await self._rows.open(row["id"], row["sealed"]))["email"] for row in rows
        }

    async def _agree(self) -> bytes:
        """The key of the first replica that ever asked."""
        token: bytes | None = await self._pool.fetchval(_SQL["lookup_key"], _LOOKUP_KEY)
        if token is None:
            made = self._keys.seal(secrets.token_bytes(32))
            token = await self._pool.fetchval(_SQL["make_lookup_key"], _LOOKUP_KEY, made)
            assert token is not None
        return await self._keys.open(token, where=f"auth.lookup_keys.sealed of {_LOOKUP_KEY}")
