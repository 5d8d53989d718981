"""A key goes only when nothing needs it any more; what still does is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ecap.clients import retirement
from ecap.clients.migrations import migrate
from ecap.clients.postgres import Pool, open_pool
from ecap.clients.rotation import PostgresProgress, newest_state, states
from ecap.config import Settings
from ecap.config.hub import accepted
from ecap.config.hub.accepted import Packed
from ecap.config.layers.layer import Given, Layer
from ecap.config.layers.overrides import Override
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.rotation import renew
from ecap.errors import Conflict


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with open_pool(settings.postgres, service="test") as opened:
        await migrate(opened)
        await opened.execute("DELETE FROM config.states")
        yield opened
        await opened.execute("DELETE FROM config.states")
        await opened.execute("DELETE FROM stream.topic_log WHERE topic = 'accounts'")
        await opened.execute("DELETE FROM stream.partitions WHERE pipeline = 'retiring'")


def rotated() -> tuple[Keyring, Keyring]:
    old = Keyring([new_key(now=0)])
    both = old.add(now=1)
    return old, both.promote(both.keys[1].id)


def state(version: int, value: Any, place: str = "") -> Packed:
    layer = Layer("environment", {"smtp.password": Given(value, place)} if place else {})
    override = {} if place else {"smtp.password": Override(value, "ann", "because", 1.0)}
    return Packed(version, {"environment": layer}, override, {"smtp.password": "s3"}, {})


async def keep(pool: Pool, ring: Keyring, *packed: Packed) -> None:
    for one in packed:
        await pool.execute(
            "INSERT INTO config.states VALUES ($1, $2)", one.version, accepted.pack(one, ring)
        )


async def again(pool: Pool, ring: Keyring) -> None:
    await renew([states(pool), newest_state(pool)], ring, PostgresProgress(pool))


async def refuse(pool: Pool, ring: Keyring) -> None:
    await retirement.refuse(ring, pool=pool, files=[], environ={})


async def test_values_inside_old_states_are_encrypted_again(pool: Pool) -> None:
    old, both = rotated()
    token = old.seal_text("s3")
    await keep(pool, old, state(1, token), state(2, [token]), state(3, "plain"))
    await again(pool, both)
    await refuse(pool, both)
    alone = both.retire(old.primary.id)
    for version in (1, 2, 3):
        sealed = await pool.fetchval("SELECT sealed FROM config.states WHERE version = $1", version)
        value = accepted.unpack(sealed, alone, where="").overrides["smtp.password"].value
        if version < 3:
            value = value if isinstance(value, str) else value[0]
            assert alone.open_text(value.removeprefix("enc:"), where="") == "s3"


@pytest.mark.parametrize(
    ("newest", "named"),
    [
        ("ECAP__SMTP__PASSWORD", r"smtp\.password in ECAP__SMTP__PASSWORD: write what"),
        ("configmap ecap/app", r"smtp\.password in configmap ecap/app: write what"),
    ],
)
async def test_what_the_hub_holds_keeps_the_key(pool: Pool, newest: str, named: str) -> None:
    old, both = rotated()
    await keep(pool, old, state(1, "x"), state(2, old.seal_text("s3"), newest))
    await again(pool, both)
    with pytest.raises(Conflict, match=f"nothing was retired.*{named}"):
        await refuse(pool, both)
    await keep(pool, both, state(3, both.seal_text("s3"), newest))
    await again(pool, both)
    await refuse(pool, both)


async def test_an_override_of_the_newest_state_is_encrypted_again(pool: Pool) -> None:
    old, both = rotated()
    await keep(pool, old, state(1, "x"), state(2, [old.seal_text("s3")]))
    await again(pool, both)
    await refuse(pool, both)
    await again(pool, both)  # nothing is left to do
    sealed = await pool.fetchval("SELECT sealed FROM config.states WHERE version = 2")
    alone = both.retire(old.primary.id)
    (value,) = accepted.unpack(sealed, alone, where="").overrides["smtp.password"].value
    assert alone.open_text(value.removeprefix("enc:"), where="") == "s3"


async def test_an_override_that_no_key_opens_is_named(pool: Pool) -> None:
    old, both = rotated()
    lost = Keyring([new_key(now=0)]).seal_text("s3")
    await keep(pool, old, state(1, "x"), state(2, lost))
    await again(pool, both)
    named = r"the override smtp\.password of configuration version 2: `ecap config set"
    with pytest.raises(Conflict, match=named):
        await refuse(pool, both)


async def test_files_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    old, both = rotated()
    path = tmp_path / "base.yaml"
    path.write_text(f"smtp: {{password: '{old.seal_text('s3')}'}}\n")
    with pytest.raises(Conflict, match=f"the file {path}: it cannot be written"):
        await retirement.refuse(both, pool=None, files=[path], environ={})


async def test_registrations_on_their_way_are_waited_for(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pool.execute("DELETE FROM stream.topic_log WHERE topic = 'accounts'")
    await pool.execute("UPDATE auth.outbox SET pos = seq, partition = 0 WHERE pos IS NULL")
    await pool.execute(
        "INSERT INTO stream.topic_log (topic, partition, next_pos) VALUES ('accounts', 0, 7)"
    )
    await pool.execute(
        "INSERT INTO stream.partitions (pipeline, topic, partition, start_pos, next_pos)"
        " VALUES ('retiring', 'accounts', 0, 0, 6)"
    )
    waiting = asyncio.create_task(retirement.arrived(pool))
    await asyncio.sleep(0)
    assert not waiting.done()
    await pool.execute("UPDATE stream.partitions SET next_pos = 7 WHERE pipeline = 'retiring'")
    await waiting
    await pool.execute("UPDATE stream.partitions SET next_pos = 6 WHERE pipeline = 'retiring'")
    monkeypatch.setattr(retirement, "_PATIENCE_S", 0.05)
    with pytest.raises(Conflict, match="on their way to retiring accounts/0"):
        await retirement.arrived(pool)


async def test_a_process_that_may_not_have_heard_keeps_the_key() -> None:
    _, both = rotated()
    told: list[str] = []
    with pytest.raises(Conflict, match="--resume --retire` in 60 minutes"):
        await retirement.settled(both, trust_s=3600, now=2, wait=told.append)
    await retirement.settled(both, trust_s=1.02, now=2, wait=told.append)
    assert told == [f"waiting 0 s until every process has heard of key {both.primary.id}"]
    await retirement.settled(both, trust_s=10, now=100, wait=told.append)
    assert len(told) == 1
