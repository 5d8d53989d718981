"""The keys that sign access tokens, over their whole life."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from integration.serve.front_door import claims_of, front_door
from integration.serve.serving import bearer

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.config.secrets.keyring.ring import Key, Keyring
from ecap.config.secrets.keyring.stores import Stored
from ecap.config.settings.keyring import Keyring as KeyringSection
from ecap.config.settings.services.auth import Auth
from ecap.domain.values.ids import new_id
from ecap.errors import Misconfigured
from ecap.serve.auth.keys import SigningKeys
from ecap.serve.auth.passwords import open_passwords
from ecap.serve.auth.routes import api
from ecap.serve.auth.service import opened

URL = "/api/v1/auth"
LIFE = timedelta(days=30)
TOKEN = timedelta(minutes=15)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def no_keys(pool: Pool) -> None:
    await pool.execute("DELETE FROM auth.signing_keys")


def keys(pool: Pool, *secrets: bytes) -> SigningKeys:
    ring = Keyring([Key(secret.decode()) for secret in secrets])

    async def load() -> Stored:
        return Stored(ring, "1")

    live = LiveKeyring(ring, load, KeyringSection(), clock=lambda: 0.0)
    return SigningKeys(pool, live, life_s=LIFE.total_seconds(), token_life_s=TOKEN.total_seconds())


async def kids(keys: SigningKeys, now: datetime) -> list[str]:
    return [key["kid"] for key in await keys.published(now)]


async def test_the_next_key_is_published_before_it_signs_and_the_last_one_after(
    pool: Pool,
) -> None:
    ours = keys(pool, Fernet.generate_key())
    first = await ours.signer(NOW)
    assert await kids(ours, NOW) == [first.kid]
    end = first.retires_at

    assert await ours.signer(end - timedelta(minutes=11)) == first
    assert len(await kids(ours, end - timedelta(minutes=11))) == 1
    assert await ours.signer(end - timedelta(minutes=9)) == first
    heir, still = await kids(ours, end - timedelta(minutes=9))
    assert still == first.kid

    second = await ours.signer(end)
    assert second.kid == heir
    assert second.signs_from == end
    last_token_expires = end + TOKEN
    assert first.kid in await kids(ours, last_token_expires - timedelta(seconds=1))
    assert await kids(ours, last_token_expires) == [heir]


async def test_replicas_agree_through_every_change(pool: Pool) -> None:
    secret = Fernet.generate_key()
    replicas = [keys(pool, secret) for _ in range(3)]
    for hour in range(0, 24 * 70, 5):
        now = NOW + timedelta(hours=hour)
        found = await asyncio.gather(*(replica.signer(now) for replica in replicas))
        assert len({key.kid for key in found}) == 1
        assert found[0].kid in await kids(replicas[0], now)
    assert await pool.fetchval("SELECT count(*) FROM auth.signing_keys") == 3


async def test_requests_that_waited_for_the_first_key_use_it_too(pool: Pool) -> None:
    secret = Fernet.generate_key()
    first = await keys(pool, secret).signer(NOW)
    assert await keys(pool, secret).signer(NOW - timedelta(seconds=30)) == first


async def test_after_a_long_silence_there_is_a_key_at_once(pool: Pool) -> None:
    ours = keys(pool, Fernet.generate_key())
    await ours.signer(NOW)
    later = NOW + 3 * LIFE
    found = await ours.signer(later)
    assert found.signs(later)
    assert await kids(ours, later) == [found.kid]


async def test_private_keys_are_wrapped(pool: Pool) -> None:
    secret = Fernet.generate_key()
    signer = await keys(pool, secret).signer(NOW)
    private = signer.key.as_dict(private=True)["d"]
    dump = await pool.fetchval("SELECT json_agg(k)::text FROM auth.signing_keys k")
    assert private not in dump
    assert private not in (
        await pool.fetchval("SELECT encode(wrapped, 'escape') FROM auth.signing_keys")
    )
    assert all("d" not in key for key in await keys(pool, secret).published(NOW))


async def test_a_new_secret_in_front_keeps_the_old_key_readable(pool: Pool) -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    before = await keys(pool, old).signer(NOW)
    assert (await keys(pool, new, old).signer(NOW)).kid == before.kid


async def test_a_lost_secret_means_a_new_key_and_the_old_tokens_stay_valid(pool: Pool) -> None:
    before = await keys(pool, Fernet.generate_key()).signer(NOW)
    ours = keys(pool, Fernet.generate_key())
    after = await ours.signer(NOW)
    assert after.kid != before.kid
    assert set(await kids(ours, NOW)) == {before.kid, after.kid}


async def test_a_keyring_is_needed(settings: Settings) -> None:
    here = settings.model_copy(update={"keyring": KeyringSection()})
    with pytest.raises(Misconfigured, match=r"set keyring\.source"):
        async with front_door(here, (api, opened)):
            pass


async def test_replicas_that_start_at_once_make_one_administrator_and_one_key(
    settings: Settings, pool: Pool
) -> None:
    email = f"{new_id().hex}@example.org"
    changed = settings.auth.model_copy(update={"admin_email": email})
    here = settings.model_copy(update={"auth": changed})
    async with front_door(here, (api, opened)) as one, front_door(here, (api, opened)) as two:
        password = changed.admin_password
        assert password is not None
        body = {"email": email, "password": password.get_secret_value()}
        answers = await asyncio.gather(
            *(client.post(f"{URL}/login", json=body) for client in (one, two) * 3)
        )
        assert [a.status_code for a in answers] == [200] * 6
        assert len({claims_of(a.json()["access_token"])[0]["kid"] for a in answers}) == 1
        assert len((await one.get(f"{URL}/jwks")).json()["keys"]) == 1
        headers = bearer(answers[0].json()["access_token"])
        assert (await two.get(f"{URL}/me", headers=headers)).json()["email"] == email
        user_id = (await two.get(f"{URL}/me", headers=headers)).json()["id"]
    told = "SELECT count(*) FROM auth.outbox WHERE key = $1 AND topic = 'accounts'"
    assert await pool.fetchval(told, user_id) == 1


async def test_another_life_is_of_keys_made_from_then_on(pool: Pool) -> None:
    ours = keys(pool, Fernet.generate_key())
    before = await ours.signer(NOW)
    ours.reconfigure(life_s=3600.0)
    assert await ours.signer(NOW) == before
    after = await ours.signer(before.retires_at)
    assert after.retires_at - after.signs_from == timedelta(hours=1)
    assert {before.kid, after.kid} <= set(await kids(ours, before.retires_at))


async def test_other_costs_hold_for_passwords_from_then_on() -> None:
    cheap = Auth(argon2_memory_kib=8192, argon2_iterations=1)
    async with open_passwords(cheap) as passwords:
        first = await passwords.hash("correct horse")
        await passwords.reconfigure(cheap.model_copy(update={"argon2_iterations": 2}))
        assert await passwords.matches("correct horse", first)
        assert passwords.is_outdated(first)
        assert not passwords.is_outdated(await passwords.hash("correct horse"))
        assert not await passwords.matches("correct horse", None)


async def test_a_key_that_was_never_committed_signs_nothing(pool: Pool) -> None:
    """PostgreSQL may refuse, or be gone, at the very end: nobody else would ever see the key."""
    await pool.execute(_REFUSED_AT_THE_END)
    ours = keys(pool, Fernet.generate_key())
    try:
        with pytest.raises(Exception, match="not today"):
            await ours.signer(NOW)
    finally:
        await pool.execute("DROP FUNCTION auth.refused() CASCADE")
    signer = await ours.signer(NOW)
    assert await kids(ours, NOW) == [signer.kid]


_REFUSED_AT_THE_END = """
CREATE FUNCTION auth.refused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'not today'; END $$;
CREATE CONSTRAINT TRIGGER refused AFTER INSERT ON auth.signing_keys
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION auth.refused()
"""
