"""Leased PostgreSQL users and the keyring in Vault, between the embedded servers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from ecap.clients.database import open_database
from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings, load
from ecap.config.secrets.keyring.live import open_keyring
from ecap.config.secrets.vault import login
from ecap.config.secrets.vault.client import DatabaseUser, VaultSecrets
from ecap.config.sources import startup
from ecap.errors import Misconfigured, Unauthenticated, Unavailable
from ecap.local.servers.credentials import Credentials
from ecap.local.servers.servers import open_servers
from ecap.local.servers.vault_setup import DATABASE_ROLE
from ecap.local.state.folder import open_state
from ecap.local.state.runtime import Runtime

ASKED = {
    "ECAP__VAULT__DATABASE_ROLE": "ecap",
    "ECAP__KEYRING__SOURCE": "vault",
    "ECAP__KEYRING__TRANSIT_KEY": "ecap",
    "ECAP__KAFKA__BOOTSTRAP_SERVERS": "not.here:9092",
    "ECAP__SMTP__HOST": "not.here",
}


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ecap-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "state"


@asynccontextmanager
async def started(root: Path, *, durable: bool) -> AsyncIterator[Runtime]:
    settings = load(ASKED, secrets=False)
    async with open_servers(
        settings, root, environ=ASKED, durable=durable, beside_others=True
    ) as found:
        yield found


@pytest.fixture(scope="module")
async def here(root: Path) -> AsyncIterator[Settings]:
    """At its second start: all of it is repeated over what is there already."""
    async with started(root, durable=True) as first:
        ring = startup.keyring({**ASKED, **first.environ})
    async with started(root, durable=True) as found:
        environ = {**ASKED, **found.environ}
        assert startup.keyring(environ).keys == ring.keys
        yield load(environ)


@pytest.fixture
async def superuser(here: Settings, root: Path) -> AsyncIterator[Pool]:
    password = (root / "secrets" / "postgres_superuser_password").read_text()
    there = here.postgres.model_copy(update={"user": "postgres", "password": SecretStr(password)})
    async with open_pool(there, service="test") as pool:
        yield pool


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> list[DatabaseUser]:
    """Those that were leased."""
    found: list[DatabaseUser] = []
    lease = VaultSecrets.database_user

    def noted(self: VaultSecrets, role: str, *, mount: str) -> DatabaseUser:
        found.append(lease(self, role, mount=mount))
        return found[-1]

    monkeypatch.setattr(VaultSecrets, "database_user", noted)
    return found


async def leased(superuser: Pool) -> int:
    count: int = await superuser.fetchval("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-%'")
    return count


async def test_a_leased_user_acts_as_the_owner_and_is_dropped_at_the_end(
    here: Settings, superuser: Pool, users: list[DatabaseUser], root: Path
) -> None:
    async with open_database(here, service="test") as pool:
        await pool.execute("CREATE TABLE made_by_lease ()")
        assert await pool.fetchval("SELECT session_user") == users[0].username
        assert await leased(superuser) == 1
        # Other settings of the pool come with the user that is leased.
        await pool.replace(here.postgres.model_copy(update={"pool_max_size": 2}), drain_s=5)
        assert await pool.fetchval("SELECT session_user") == users[0].username
    assert await leased(superuser) == 0
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'made_by_lease'"
    assert await superuser.fetchval(owner) == "ecap"
    said = str(await superuser.fetch("SELECT query FROM pg_stat_statements"))
    said += "".join(path.read_text() for path in (root / "logs").iterdir())
    assert users[0].password not in said
    assert (root / "secrets" / "postgres_leases_password").read_text() not in said


async def test_rotated_and_revoked_under_load_nothing_fails(
    here: Settings, superuser: Pool, users: list[DatabaseUser]
) -> None:
    done = 0
    stop = asyncio.Event()

    async def load() -> None:
        nonlocal done
        while not stop.is_set():
            async with pool.transaction() as conn:
                assert await conn.fetchval("SELECT current_user") == "ecap"
            done += 1

    async def passed(more: int) -> None:
        enough = done + more
        async with asyncio.timeout(30):
            while done < enough:  # noqa: ASYNC110  counted by the load
                await asyncio.sleep(0.005)

    services = login.log_in(here.vault)
    async with open_database(here, service="test") as pool, asyncio.TaskGroup() as group:
        group.create_task(load())
        await passed(20)
        services.revoke_lease(users[-1].lease_id)
        assert await leased(superuser) == 0
        await passed(20)  # on the connection it has
        for _ in range(20):  # those that need a new one are refused, and get another user
            group.create_task(load())
        await passed(200)
        assert len(users) == 2
        assert await leased(superuser) == 1
        # As the hub brings it, and again with something else.
        await pool.reconfigure(here.postgres.model_copy(update={"lease_generation": 1}))
        await passed(100)
        assert len(users) == 3
        again = {"lease_generation": 1, "pool_max_size": 3}
        await pool.reconfigure(here.postgres.model_copy(update=again))
        assert await pool.fetchval("SELECT session_user") == users[2].username
        stop.set()
    assert await leased(superuser) == 0


async def test_other_settings_right_after_a_revocation_wait_for_the_next_user(
    here: Settings, superuser: Pool, users: list[DatabaseUser]
) -> None:
    services = login.log_in(here.vault)
    async with open_database(here, service="test") as pool:
        services.revoke_lease(users[-1].lease_id)
        assert await leased(superuser) == 0
        other = here.postgres.model_copy(update={"statement_timeout_s": 9.0})
        await pool.reconfigure(other)
        assert await pool.fetchval("SELECT session_user") == users[1].username
        assert pool._settings is other
        # Two at once, one of them a rotation.
        services.revoke_lease(users[-1].lease_id)
        await asyncio.gather(pool.reconfigure(here.postgres), pool.reconfigure(other))
        assert await pool.fetchval("SELECT session_user") == users[-1].username
        assert await leased(superuser) == 1
        with pytest.raises(Unavailable):
            await pool.reconfigure(here.postgres.model_copy(update={"port": 1}))
        assert await pool.fetchval("SELECT 1") == 1
    assert await leased(superuser) == 0


def test_each_role_may_do_its_own_and_nothing_else(here: Settings, root: Path) -> None:
    services = login.log_in(here.vault)
    assert services.read("ecap/postgres")
    log_in = Credentials(open_state(root)).log_in(DATABASE_ROLE)
    section = here.vault.model_copy(
        update={"role_id": log_in.role_id, "secret_id_file": log_in.secret_id_file}
    )
    setup = login.log_in(section)
    connection = {"url": "x", "username": "x", "password": "x", "roles": ["x"]}
    for refused in (
        lambda: services.write("ecap/postgres", {"password": "x"}),
        lambda: services.secret("elsewhere"),
        lambda: services.transit_encrypt("x", key="ecap", mount="transit"),
        lambda: services.database_user("other", mount="database"),
        lambda: services.database_connection("ecap", mount="database", **connection),  # type: ignore[arg-type]
        lambda: setup.secret("ecap/postgres"),
        lambda: setup.database_user("ecap", mount="database"),
        lambda: setup.database_connection("other", mount="database", **connection),  # type: ignore[arg-type]
    ):
        with pytest.raises(Unauthenticated):
            refused()


async def test_the_keyring_in_vault_is_wrapped(here: Settings) -> None:
    kept = login.log_in(here.vault).read("ecap/keyring")["keyring"]
    assert '"vault:v1:' in kept
    async with open_keyring(here, {}) as keys:
        assert keys.ring.primary.material not in kept
        assert await keys.open(keys.seal(b"x"), where="") == b"x"


async def test_what_cannot_be_leased_is_said(here: Settings) -> None:
    section = here.vault.model_copy(update={"database_role": "other"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ecap.clients.database._FIRST_USER_S", 0.5)
        with pytest.raises(Unavailable, match="no PostgreSQL user was leased: Vault refuses"):
            async with open_database(here.model_copy(update={"vault": section}), service="test"):
                pass
    other = load({"ECAP__VAULT__DATABASE_ROLE": "other"}, secrets=False)
    with pytest.raises(Misconfigured, match="has only 'ecap'"):
        async with open_servers(other, here.state_dir.parent / "more", environ={}):
            pass
