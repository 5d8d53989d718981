from __future__ import annotations

from uuid import UUID

from steps import START, record, run

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events import UserRegistered
from ecap.pipelines.stream.users.pipeline import build


async def test_a_registration_makes_the_profile_once(pool: Pool, settings: Settings) -> None:
    ana = UserRegistered(user_id=UUID(int=1), email="ana@example.com", display_name="Ana")
    pipeline = build(settings)
    await run(pool, pipeline, None, [record(ana, 0), record(ana, 0)])
    await pool.execute("UPDATE users.profiles SET display_name = 'Anna', version = 2")
    await run(pool, pipeline, None, [record(ana, 1)])
    row = await pool.fetchrow(
        "SELECT user_id, email, display_name, registered_at FROM users.profiles"
    )
    assert row is not None
    assert tuple(row) == (UUID(int=1), "ana@example.com", "Anna", START)
