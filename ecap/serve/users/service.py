"""What a users replica holds, and how it knows somebody who registered a moment ago."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ecap.config.secrets.keyring.live import open_keyring
from ecap.mesh import MeshClient
from ecap.serve.replica.process import Process
from ecap.serve.users.models import Profile
from ecap.serve.users.store import Users

_ME = "GET /api/v1/auth/me"


@dataclass(frozen=True)
class Profiles:
    users: Users
    auth: MeshClient

    async def own(self, user_id: UUID) -> Profile:
        """The profile of the caller, whether or not user.registered has arrived yet.

        When it has not, the account is asked for what the event would have said. Raises
        NotFound for a user without an account, Unavailable when auth is away just then.
        """
        found = await self.users.find(user_id)
        if found is None:
            account: dict[str, Any] = await self.auth.call(_ME, idempotent=True)
            await self.users.create(
                user_id,
                email=account["email"],
                display_name=account["display_name"],
                registered_at=datetime.fromisoformat(account["created_at"]),
            )
            found = await self.users.profile(user_id)
        return found


@asynccontextmanager
async def opened(process: Process) -> AsyncIterator[Profiles]:
    """Raises Misconfigured without a keyring."""
    async with open_keyring(process.settings) as keys:
        yield Profiles(Users(process.pool, keys), process.services("auth"))
