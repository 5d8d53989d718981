"""Against a real OpenBao: every way in, both KV versions, change, renewal, revocation."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from hvac.exceptions import VaultError
from integration.config.bao import Bao

from ecap.config.layers.references import parse
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import store
from ecap.config.secrets.vault import login
from ecap.config.secrets.vault.session import VaultSession
from ecap.config.settings.connections.vault import Vault
from ecap.config.settings.keyring import Keyring as KeyringSection
from ecap.config.sources.source import Reading, SourceHealth
from ecap.config.sources.vault import VaultSource
from ecap.errors import Conflict, Misconfigured, Unauthenticated, Unavailable

WITHIN_S = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def session(settings: Vault, clock: Clock | None = None) -> VaultSession:
    return VaultSession(settings, clock=clock or Clock(), rng=random.Random(1))


def source(settings: Vault, opened: VaultSession | None = None) -> VaultSource:
    health = SourceHealth("vault", wall=lambda: 1.0)
    return VaultSource(settings, opened or session(settings), health=health)


async def news(readings: AsyncIterator[Reading]) -> Reading:
    return await asyncio.wait_for(anext(readings), WITHIN_S)


def flat(reading: Reading) -> dict[str, Any]:
    return {k: g.value for layer in reading.layers.values() for k, g in layer.values.items()}


@pytest.mark.parametrize("auth", ["approle", "userpass", "token"])
def test_every_way_in(bao: Bao, auth: str) -> None:
    token = bao.root.auth.token.create(policies=["app"], ttl="1h")["auth"]["client_token"]
    settings = bao.settings(
        auth=auth,
        username="ann",
        password_file=bao.secret_file("pw", "pass-word\n"),
        token_file=bao.secret_file("token", token),
    )
    secrets = login.log_in(settings)
    assert secrets.lease.duration_s > 60
    secrets.write(f"login/{auth}", {"x": "1"})
    assert secrets.read(f"login/{auth}") == {"x": "1"}


def test_a_wrong_secret_does_not_get_in(bao: Bao) -> None:
    settings = bao.settings(
        auth="userpass", username="ann", password_file=bao.secret_file("bad", "hunter2")
    )
    with pytest.raises(Unavailable, match=r"refuses|cannot") as caught:
        login.log_in(settings)
    assert "hunter2" not in str(caught.value)


def test_a_missing_way_in_names_the_setting(bao: Bao) -> None:
    with pytest.raises(Misconfigured, match=r"vault\.role is needed"):
        login.log_in(bao.settings(auth="kubernetes", jwt_file=bao.secret_file("jwt", "x")))
    with pytest.raises(Misconfigured, match=r"vault\.token_file is needed"):
        login.log_in(bao.settings(auth="token"))


def test_versions_and_check_and_set(bao: Bao) -> None:
    secrets = login.log_in(bao.settings())
    secrets.write("cas/x", {"a": "1"}, cas=0)
    found = secrets.secret("cas/x")
    assert found is not None
    assert (found.values, found.version) == ({"a": "1"}, 1)
    secrets.write("cas/x", {"a": "2"}, cas=1)
    with pytest.raises(Conflict, match="no longer version 1"):
        secrets.write("cas/x", {"a": "3"}, cas=1)
    with pytest.raises(Conflict):
        secrets.write("cas/x", {"a": "3"}, cas=0)
    assert secrets.secret("cas/none") is None


def test_kv_version_1(bao: Bao) -> None:
    secrets = login.log_in(bao.settings(mount="kv1", kv_version=1))
    assert secrets.state("x") == "none"
    secrets.write("x", {"a": "hunter2"})
    before = secrets.state("x")
    assert "hunter2" not in before
    assert secrets.read("x") == {"a": "hunter2"}
    secrets.write("x", {"a": "2"})
    assert secrets.state("x") != before


async def test_settings_in_vault_follow_it(bao: Bao) -> None:
    bao.put("live/config", **{"orders.max_lines": "7"})
    found = source(bao.settings(config_path="live/config"))
    async with aclosing(found.watch()) as readings:  # type: ignore[type-var]
        first = await news(readings)
        assert flat(first) == {"orders.max_lines": "7"}
        given = first.layers["vault"].values["orders.max_lines"]
        assert (given.place, given.version) == ("vault:live/config#orders.max_lines", "1")
        bao.put("live/config", **{"orders.max_lines": "8"})
        assert flat(await news(readings)) == {"orders.max_lines": "8"}
        bao.root.secrets.kv.v2.delete_metadata_and_all_versions("live/config")
        assert flat(await news(readings)) == {}
        bao.put("live/config", **{"orders.max_lines": "7"})
        assert flat(await news(readings)) == {"orders.max_lines": "7"}
    assert found.health.reachable
    assert found.health.shown()["lease_left_s"] > 60


async def test_a_secret_behind_a_reference_follows_it_too(bao: Bao) -> None:
    bao.put("live/smtp", password="one")
    found = source(bao.settings())
    reference = parse("vault:live/smtp#password", where="x")
    async with aclosing(found.watch()) as readings:  # type: ignore[type-var]
        await news(readings)
        assert await found.read(reference, "base.yaml:1: smtp.password") == "one"
        bao.put("live/smtp", password="two")
        assert (await news(readings)).reason == "Vault: live/smtp"
        assert await found.read(reference, "x") == "two"
    missing = parse("vault:live/smtp#no", where="x")
    with pytest.raises(Misconfigured, match=r"base\.yaml:1.*ecap secrets put live/smtp no"):
        await found.read(missing, "base.yaml:1: smtp.password")


async def test_a_revoked_token_is_replaced(bao: Bao) -> None:
    opened = session(bao.settings())
    bao.put("revoked/x", a="1")
    assert (await opened.call(lambda s: s.secret("revoked/x"))) is not None
    secrets: Any = opened._secrets
    bao.root.auth.token.revoke(secrets._client.token)
    assert (await opened.call(lambda s: s.secret("revoked/x"))) is not None


async def test_what_is_not_allowed_is_said(bao: Bao) -> None:
    opened = session(bao.settings(mount="cubbyhole-none"))
    with pytest.raises(Unauthenticated, match="refuses to read"):
        await opened.call(lambda s: s.secret("x"))


async def test_renewal_at_two_thirds_and_a_new_log_in_at_the_end(bao: Bao) -> None:
    bao.root.auth.approle.create_or_update_approle(
        "short", token_policies=["app"], token_ttl="60s", token_max_ttl="90s"
    )
    role = bao.root.auth.approle.read_role_id("short")["data"]["role_id"]
    secret_id = bao.root.auth.approle.generate_secret_id("short")["data"]["secret_id"]
    settings = bao.settings(role_id=role, secret_id_file=bao.secret_file("short", secret_id))
    clock = Clock()
    opened = session(settings, clock)
    await opened.call(lambda s: s.state("x"))
    first = opened._secrets
    assert first is not None
    clock.now = 33.0
    await opened.keep_alive()
    assert first.lease.duration_s == opened.lease.duration_s == 60
    renewed_at: Any = opened._renew_at
    assert renewed_at < 60
    clock.now = 41.0
    await opened.keep_alive()
    assert opened._renew_at > 60  # type: ignore[operator]
    assert opened._secrets is first
    bao.root.auth.token.revoke(first._client.token)
    clock.now = 200.0
    await opened.keep_alive()
    assert opened._secrets is not first


async def test_sealed_and_away_keeps_what_is_known(bao: Bao) -> None:
    bao.put("away/smtp", password="one")
    settings = bao.settings()
    opened = session(settings)
    found = source(settings, opened)
    reference = parse("vault:away/smtp#password", where="x")
    async with aclosing(found.watch()) as readings:  # type: ignore[type-var]
        await news(readings)
        assert await found.read(reference, "x") == "one"
        secrets: Any = opened._secrets
        address = secrets._client._adapter.base_uri
        secrets._client._adapter.base_uri = "http://127.0.0.1:9"
        waiting = asyncio.ensure_future(anext(readings))
        async with asyncio.timeout(WITHIN_S):
            while found.health.reachable:
                await asyncio.wait({waiting}, timeout=0.01)
        assert found.health.last_error is not None
        assert await found.read(reference, "x") == "one"
        bao.put("away/smtp", password="two")
        secrets._client._adapter.base_uri = address
        await asyncio.wait_for(waiting, WITHIN_S)
        assert await found.read(reference, "x") == "two"
        assert found.health.reachable


@pytest.mark.parametrize("transit", [None, "wrap"])
def test_a_keyring_in_vault(bao: Bao, transit: str | None) -> None:
    if transit:
        bao.root.secrets.transit.create_key(name=transit)
    secrets = login.log_in(bao.settings())
    section = KeyringSection(source="vault", path=f"ring/{transit}", transit_key=transit)
    kept = store(section, {}, secrets=secrets)
    ring = Keyring([new_key(now=5.0)])
    kept.save(ring, revision=None)
    again = kept.load()
    assert again.ring.keys == ring.keys
    kept.save(again.ring.add(now=6.0), revision=again.revision)
    with pytest.raises(Conflict):
        kept.save(ring, revision=again.revision)
    assert len(kept.load().ring.keys) == 2
    stored = bao.root.secrets.kv.v2.read_secret_version(
        path=f"ring/{transit}", raise_on_deleted_version=True
    )["data"]["data"]["keyring"]
    assert (ring.primary.material in stored) is (transit is None)


def test_transit_refuses_what_it_did_not_encrypt(bao: Bao) -> None:
    bao.root.secrets.transit.create_key(name="one")
    secrets = login.log_in(bao.settings())
    wrapped = secrets.transit_encrypt("x", key="one", mount="transit")
    altered = wrapped[:-4] + ("AAA=" if wrapped[-4:] != "AAA=" else "BBB=")
    with pytest.raises(Misconfigured, match="altered"):
        secrets.transit_decrypt(altered, key="one", mount="transit")
    with pytest.raises(VaultError):
        bao.root.secrets.transit.decrypt_data(name="one", ciphertext=altered)
