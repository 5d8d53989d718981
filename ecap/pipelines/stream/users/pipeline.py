"""Users: a registration creates the profile, once; the service owns it from then on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ecap.actors.stream.pipeline import Record, Stateless
from ecap.clients.postgres import Connection
from ecap.clients.queries import load_queries
from ecap.config.settings.tree import Settings
from ecap.domain.events.personal import token_of
from ecap.domain.events.users import UserRegistered

_SQL = load_queries(__package__)

Created = tuple[UUID, bytes, datetime]
"""User, what the keyring keeps of them, and when they registered."""


class UsersPipeline(Stateless):
    name = "users"
    topics: tuple[str, ...] = ("accounts",)

    def apply(self, state: None, record: Record) -> Created | None:
        user = record.event.payload
        if not isinstance(user, UserRegistered):
            return None
        return user.user_id, token_of(user), record.event.occurred_at

    async def write(self, conn: Connection, results: Sequence[Created]) -> None:
        columns = [list(column) for column in zip(*results, strict=True)]
        await conn.execute(_SQL["create_profiles"], *columns)


def build(settings: Settings) -> UsersPipeline:
    return UsersPipeline()
