"""Users: a registration creates the profile, once; the service owns it from then on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn

from ecap.actors.pipeline import Record
from ecap.clients.postgres import Connection, load_queries
from ecap.config.settings import Settings
from ecap.domain.admission import admit_text
from ecap.domain.events import UserRegistered

_queries = load_queries(__package__)


class UsersPipeline:
    """Keeps no state."""

    name = "users"
    topics: tuple[str, ...] = ("accounts",)

    def new_state(self, topic: str, partition: int) -> None:
        return None

    def dump(self, state: None) -> bytes:
        return b""

    def load(self, topic: str, partition: int, snapshot: bytes) -> None:
        return None

    def apply(self, state: None, record: Record) -> tuple[UserRegistered, datetime] | None:
        user = record.event.payload
        if not isinstance(user, UserRegistered):
            return None
        admit_text(user.email, user.display_name)
        return user, record.event.occurred_at

    async def write(
        self, conn: Connection, results: Sequence[tuple[UserRegistered, datetime]]
    ) -> None:
        await conn.execute(
            _queries["create_profiles"],
            [user.user_id for user, _ in results],
            [user.email for user, _ in results],
            [user.display_name for user, _ in results],
            [at for _, at in results],
        )

    def answer(self, state: None, question: object, *, now: datetime) -> NoReturn:
        raise TypeError("users answers from PostgreSQL")


def build(settings: Settings) -> UsersPipeline:
    return UsersPipeline()
