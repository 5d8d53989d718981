from __future__ import annotations

from uuid import UUID

import pytest
from integration.pipelines.stream.steps import START, record, registered, run

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.users import UserRegistered
from ecap.pipelines.stream.users.pipeline import build


async def test_a_registration_makes_the_profile_once(pool: Pool, settings: Settings) -> None:
    ana = registered(UUID(int=1), settings, email="ana@example.com", name="Ana")
    pipeline = build(settings)
    await run(pool, pipeline, None, [record(ana, 0), record(ana, 0)])
    await pool.execute("UPDATE users.profiles SET locale = 'de', version = 2")
    await run(pool, pipeline, None, [record(ana, 1)])
    row = await pool.fetchrow("SELECT user_id, sealed, locale, registered_at FROM users.profiles")
    assert row is not None
    assert tuple(row) == (UUID(int=1), ana.sealed.removeprefix("enc:").encode(), "de", START)


@pytest.mark.parametrize("sealed", ["", "ana@example.com", "enc:", "enc:a b"])
def test_what_is_not_sealed_goes_to_the_dead_letters(settings: Settings, sealed: str) -> None:
    with pytest.raises(ValueError, match="sealed is not"):
        build(settings).apply(None, record(UserRegistered(user_id=UUID(int=1), sealed=sealed), 0))
