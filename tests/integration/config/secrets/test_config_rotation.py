"""A rotation beside a running hub: the old key goes, and nothing has to be set again."""

from __future__ import annotations

import time

import pytest
from integration.config.hub.hub_actor import change, member, started, well

from ecap.actors.hub import ConfigHub
from ecap.cli.secrets.rotation import rotate
from ecap.clients.config_history import PostgresHistory
from ecap.clients.postgres import Pool
from ecap.clients.rotation import personal
from ecap.config import Settings
from ecap.config.hub import accepted
from ecap.config.hub.requests import Change, Return
from ecap.config.layers.overrides import Edit
from ecap.config.secrets.keyring.ring import Keyring
from ecap.config.secrets.keyring.stores import FileKeyring

SECRET = "smtp.password"


@pytest.fixture
def soon(hub_environ: dict[str, str]) -> dict[str, str]:
    return {**hub_environ, "ECAP__KEYRING__TRUST_S": "1"}


@pytest.fixture
async def ours(empty: Pool) -> Pool:
    """What tests of other folders left is encrypted with keys that are gone with them."""
    tables = ", ".join({entries.name.rpartition(".")[0] for entries in personal(empty)})
    await empty.execute(f"TRUNCATE {tables} CASCADE")
    return empty


async def set_secret(hub: ConfigHub, keys: Keyring, plain: str) -> None:
    wish = Change(
        edit=Edit({SECRET: keys.seal_text(plain)}), author="ann", reason="a test", sections=("",)
    )
    await hub.handle("change", wish, {})


async def kept(pool: Pool, version: int, keys: Keyring) -> str:
    """What the override of that version opens as, with these keys."""
    token = await PostgresHistory(pool).state(version)
    assert token is not None
    value = accepted.unpack(token, keys, where="").overrides[SECRET].value
    return keys.open_text(value.removeprefix("enc:"), where="")


async def test_the_old_key_is_retired_beside_a_running_hub(
    soon: dict[str, str],
    ring: FileKeyring,
    ours: Pool,
    settings: Settings,
) -> None:
    old = ring.load().ring
    async with started(soon) as hub:
        await well(hub)
        async with member(hub, settings) as one:
            await set_secret(hub, old, "planted")
            before = one.version
            told: list[str] = []
            rotated = await rotate(soon, ring, retire=True, resume=False, tell=told.append)
            assert [key.id for key in rotated.ring.keys] == [ring.load().ring.primary.id]
            assert any(line.startswith("config.states") for line in told)
            assert one.version == before  # a rotation is no change
            # What the hub holds, and writes with the next version, needs the old key no more.
            done = await hub.handle("change", change(7), {})
            assert await kept(ours, done["version"], rotated.ring) == "planted"
            assert one.settings.smtp.password is not None
            assert one.settings.smtp.password.get_secret_value() == "planted"
            await set_secret(hub, rotated.ring, "second")
            await hub.handle(
                "roll_back", Return(to=before, author="bob", reason="back", sections=("",)), {}
            )
            assert one.settings.smtp.password.get_secret_value() == "planted"
            version = one.version
        assert await kept(ours, version, rotated.ring) == "planted"
    for boot in ("one", "two"):  # its successor, and the next start of the cluster
        async with started(soon, boot=boot) as hub:
            await well(hub)
            async with member(hub, settings) as one:
                assert one.settings.smtp.password is not None
                assert one.settings.smtp.password.get_secret_value() == "planted"


async def test_a_hub_that_missed_the_rotation_seals_from_what_it_read(
    soon: dict[str, str],
    ring: FileKeyring,
    ours: Pool,
) -> None:
    old = ring.load().ring
    async with started({**soon, "ECAP__KEYRING__POLL_S": "0.4"}) as hub:
        await well(hub)
        await set_secret(hub, old, "planted")
        both = old.add(now=time.time())
        alone = both.promote(both.keys[-1].id).retire(old.primary.id)
        keys = hub._open().origins.keyring
        ring.save(alone, revision=ring.load().revision)
        await keys.look()
        done = await hub.handle("change", change(8), {})
        assert await kept(ours, done["version"], alone) == "planted"
