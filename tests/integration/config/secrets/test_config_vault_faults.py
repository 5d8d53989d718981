"""What a real OpenBao can do to us, over TLS: each time the last good values stay, and the
health says what is wrong."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from integration.config.bao import Bao, open_bao
from integration.config.waiting import until

from ecap.config.layers.references import parse
from ecap.config.secrets.keyring.live import LiveKeyring, loading
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import store
from ecap.config.secrets.vault import login
from ecap.config.secrets.vault.client import DatabaseUser, VaultSecrets
from ecap.config.secrets.vault.session import VaultSession
from ecap.config.settings.connections.vault import Vault
from ecap.config.settings.keyring import Keyring as Section
from ecap.config.settings.tree import Settings
from ecap.config.sources.database_users import DatabaseLease
from ecap.config.sources.source import SourceHealth
from ecap.config.sources.vault import VaultSource
from ecap.errors import Unavailable

SECRET = parse("vault:fault#key", where="test")


@pytest.fixture(scope="module")
async def bao(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bao]:
    async with open_bao(tmp_path_factory.mktemp("bao-tls"), tls=True) as server:
        yield server


class Watched:
    """A source under way, with one secret that it knows."""

    def __init__(self, settings: Vault) -> None:
        rng = random.Random(1)
        self.session = VaultSession(settings, clock=time.monotonic, rng=rng)
        self.source = VaultSource(
            settings, self.session, health=SourceHealth("vault", wall=time.time)
        )
        self.reasons: list[str] = []

    async def value(self) -> str:
        return await self.source.read(SECRET, "test")

    async def watch(self) -> None:
        async for reading in self.source.watch():
            self.reasons.append(reading.reason)

    async def complains(self, text: str) -> None:
        health = self.source.health
        await until(lambda: text in (health.last_error or ""))
        assert not health.reachable
        assert health.last_error_at is not None
        assert await self.value() == "good"

    async def recovers(self, bao: Bao) -> None:
        await until(lambda: self.source.health.reachable)
        assert self.source.health.last_error is None
        await asyncio.to_thread(bao.put, "fault", key="better")
        async with asyncio.timeout(30):
            while await self.value() != "better":  # noqa: ASYNC110  the source's own value
                await asyncio.sleep(0.01)


@pytest.fixture
async def watched(bao: Bao) -> AsyncIterator[Watched]:
    await asyncio.to_thread(bao.put, "fault", key="good")
    found = Watched(bao.settings(timeout_s=0.5))
    assert await found.value() == "good"
    task = asyncio.create_task(found.watch(), name="watch")
    await until(lambda: found.source.health.reachable)
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.wait({task})


@contextmanager
def sealed(bao: Bao) -> Iterator[None]:
    bao.root.sys.seal()
    try:
        yield
    finally:
        bao.root.sys.submit_unseal_key(bao.unseal_key)


@contextmanager
def hanging(bao: Bao) -> Iterator[None]:
    os.kill(bao.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(bao.pid, signal.SIGCONT)


async def test_sealed(bao: Bao, watched: Watched) -> None:
    with sealed(bao):
        await watched.complains("Vault is sealed, or has no leader: cannot read")
    await watched.recovers(bao)


async def test_hanging(bao: Bao, watched: Watched) -> None:
    with hanging(bao):
        await watched.complains("Vault does not answer in time: cannot read")
    await watched.recovers(bao)


async def test_token_revoked_and_no_other_given(bao: Bao, watched: Watched) -> None:
    secrets: Any = watched.session._secrets
    log_ins = watched.session.log_ins
    await asyncio.to_thread(bao.root.auth.token.revoke, secrets._client.token)
    await until(lambda: watched.session.log_ins == log_ins + 1)
    assert await watched.value() == "good"
    assert watched.source.health.reachable
    kept = bao.root.auth.approle.read_role_id("app")["data"]["role_id"]
    bao.root.auth.approle.update_role_id("app", "another")
    await asyncio.to_thread(bao.root.auth.token.revoke, watched.session._secrets._client.token)  # type: ignore[union-attr]
    await watched.complains("Vault refuses: cannot log in at https://")
    bao.root.auth.approle.update_role_id("app", kept)
    await watched.recovers(bao)


async def test_nobody_there() -> None:
    settings = Vault(address="https://127.0.0.1:9", role_id="x", secret_id_file=Path("/dev/null"))
    with pytest.raises(Unavailable, match="Vault cannot be reached: cannot log in at"):
        login.log_in(settings)


async def test_tls(bao: Bao) -> None:
    def read(settings: Vault) -> str:
        return login.log_in(settings).read("fault")["key"]

    bao.put("fault", key="good")
    assert await asyncio.to_thread(read, bao.settings()) == "good"
    with pytest.raises(Unavailable, match=r"certificate that is not trusted \(vault\.ca_cert\)"):
        await asyncio.to_thread(read, bao.settings(ca_cert=None))


async def test_namespaces(bao: Bao) -> None:
    team: Any = {"X-Vault-Namespace": "team"}
    ask = bao.root.adapter.request
    ask("post", "/v1/sys/namespaces/team")
    ask(
        "post",
        "/v1/sys/mounts/secret",
        headers=team,
        json={"type": "kv-v2"},
    )
    path = "/v1/secret/data/fault"
    ask("post", path, headers=team, json={"data": {"key": "of the team"}})
    await asyncio.to_thread(bao.put, "fault", key="good")
    token = bao.secret_file("token", bao.token)
    found = Watched(bao.settings(auth="token", token_file=token, namespace="team"))
    assert await found.value() == "of the team"
    assert await Watched(bao.settings(auth="token", token_file=token)).value() == "good"


@asynccontextmanager
async def leased(bao: Bao, users: list[DatabaseUser]) -> AsyncIterator[DatabaseLease]:
    """Of users that Vault only counts: PostgreSQL has tests of its own."""
    session = VaultSession(bao.settings(timeout_s=0.5), clock=time.monotonic, rng=random.Random(1))

    async def use(user: DatabaseUser) -> None:
        users.append(user)

    lease = DatabaseLease(
        session,
        role="app",
        mount="database",
        use=use,
        health=SourceHealth("database", wall=time.time),
        clock=time.monotonic,
        rng=random.Random(1),
    )
    task = asyncio.create_task(lease.run(), name="lease")
    try:
        await until(lambda: bool(users))
        yield lease
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_lease_lost_while_vault_is_sealed(
    bao: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = iter(range(100))

    def give(self: VaultSecrets, role: str, *, mount: str) -> DatabaseUser:
        self.secret("fault")  # as sealed as the rest
        return DatabaseUser(f"user-{next(count)}", "x", "database/creds/app/gone", 0.9)

    monkeypatch.setattr(VaultSecrets, "database_user", give)
    users: list[DatabaseUser] = []
    async with leased(bao, users) as lease:
        with sealed(bao):
            await until(lambda: not lease.health.reachable)
            assert "Vault is sealed, or has no leader: cannot read" in str(lease.health.last_error)
            kept = len(users)
            await asyncio.sleep(0)
            assert len(users) == kept
        await until(lambda: len(users) > kept)
        # Vault does not know the lease either: each renewal ends with another user.
        await until(lambda: "the lease has ended" in str(lease.health.last_error))
        await until(lambda: len(users) > kept + 1)


async def test_the_keyring_while_vault_is_sealed(bao: Bao, settings: Settings) -> None:
    section = Section(source="vault", path="ring", poll_s=0.05, trust_s=0.5)
    here = settings.model_copy(update={"vault": bao.settings(timeout_s=0.5), "keyring": section})
    opened = login.log_in(here.vault)
    store(section, {}, secrets=opened).save(Keyring([new_key(now=1)]), revision=None)
    load = loading(here, {})
    live = LiveKeyring((await load()).ring, load, section, clock=time.monotonic)
    token = live.seal(b"x")
    watching = asyncio.create_task(live.watch(), name="keyring")
    with sealed(bao):
        await until(lambda: "Vault is sealed" in (live.trouble or ""))
        assert await live.open(token, where="") == b"x"

        def refused() -> bool:
            try:
                live.seal(b"y")
            except Unavailable as exc:
                return "Vault is sealed" in exc.detail
            return False

        await until(refused)
    await until(lambda: live.trouble is None)
    live.seal(b"z")
    watching.cancel()
    await asyncio.wait({watching})
