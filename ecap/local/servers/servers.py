"""The embedded servers: each started only when no address is configured for it."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from ecap.config import Settings
from ecap.config.sources.startup import config_dir
from ecap.errors import Misconfigured
from ecap.local.process import ports
from ecap.local.process.ports import LOOPBACK
from ecap.local.process.process import Started, end_leftovers
from ecap.local.process.together import together
from ecap.local.ray import node
from ecap.local.servers import credentials as creds
from ecap.local.servers.credentials import Credentials
from ecap.local.servers.database_users import Leases
from ecap.local.servers.kafka import Kafka
from ecap.local.servers.mail import Mail
from ecap.local.servers.postgres import Postgres
from ecap.local.servers.vault import OpenBao
from ecap.local.servers.vault_secrets import WithSecrets
from ecap.local.servers.vault_setup import LEASES, OWNER, ROLE, ROLES
from ecap.local.state import runtime
from ecap.local.state.folder import StateDir, open_state
from ecap.local.state.runtime import Runtime, Server

USUAL_PORTS = {
    "http": 8000,
    "postgres": 5432,
    "kafka": 9092,
    "vault": 8200,
    "vault_cluster": 8201,
    "smtp": 1025,
    "mail_page": 8025,
    **node.PORTS,
}
ADMIN_EMAIL = "admin@ecap.example"


class Embedded(Protocol):
    name: str
    port: int

    async def start(self) -> Started:
        """Returns when it answers. Raises Unavailable with the end of its log."""
        ...

    async def stop(self) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What will run and where, decided before anything is started."""

    state: StateDir
    servers: tuple[Embedded, ...]
    runtime: Runtime
    leases: Leases | None = None


OnReady = Callable[[Server], None]


def plan(
    settings: Settings,
    state: StateDir,
    *,
    environ: Mapping[str, str],
    durable: bool = True,
    beside_others: bool = False,
) -> Plan:
    """Decide ports, make secrets, build the servers. Call with the lock held.

    `beside_others` avoids the usual ports; `durable=False` trades the safety of
    the data for speed, for tests.
    """
    before = runtime.read(state)
    usual = {**USUAL_PORTS, "http": settings.http.port}
    chosen = ports.choose(
        usual,
        remembered=before.ports if before else {},
        rng=random.Random() if beside_others else None,  # noqa: S311  ports are no secret
    )
    secrets = Credentials(state)
    servers: list[Embedded] = []
    env = {
        "ECAP_CONFIG_DIR": str(config_dir(environ).absolute()),
        "ECAP_ENVIRONMENT": settings.environment,
        "ECAP__STATE_DIR": str(state.root),
        "ECAP__HTTP__PORT": str(chosen["http"]),
    }
    embedded_vault = settings.vault.address is None
    leases: Leases | None = None
    if settings.postgres.host is None:
        servers.append(
            Postgres(
                state,
                port=chosen["postgres"],
                user=settings.postgres.user,
                database=settings.postgres.database,
                password_file=secrets.postgres_password,
                superuser_password_file=secrets.postgres_superuser_password,
                durable=durable,
            )
        )
        env |= _postgres_environ(chosen["postgres"], secrets, embedded_vault=embedded_vault)
    if settings.kafka.bootstrap_servers is None:
        servers.append(Kafka(state, port=chosen["kafka"]))
        env |= {
            "ECAP__KAFKA__BOOTSTRAP_SERVERS": f"{LOOPBACK}:{chosen['kafka']}",
            "ECAP__KAFKA__SECURITY_PROTOCOL": "PLAINTEXT",
            # This broker gives out no producer ids. Duplicates are told by their positions anyway.
            "ECAP__KAFKA__IDEMPOTENT_PRODUCER": "false",
            "ECAP__KAFKA__REPLICATION_FACTOR": "1",
            "ECAP__KAFKA__MIN_INSYNC_REPLICAS": "1",
        }
    if embedded_vault:
        bao = OpenBao(
            state,
            port=chosen["vault"],
            cluster_port=chosen["vault_cluster"],
            mount=settings.vault.mount,
            seal_key_file=secrets.seal_key,
            log_ins={role: secrets.log_in(role) for role in ROLES},
            durable=durable,
        )
        own = settings.postgres.host is None
        servers.append(WithSecrets(bao, secrets, postgres=own, keyring=settings.keyring))
        env |= _vault_environ(bao)
        leases = _leases(settings, bao, secrets, port=chosen["postgres"])
        if leases is not None:
            env["ECAP__VAULT__DATABASE_ROLE"] = LEASES
    if settings.smtp.host is None:
        servers.append(Mail(state, port=chosen["smtp"], web_port=chosen["mail_page"]))
        env |= {
            "ECAP__SMTP__HOST": LOOPBACK,
            "ECAP__SMTP__PORT": str(chosen["smtp"]),
            "ECAP__SMTP__STARTTLS": "false",
        }
    env |= creds.references(settings, secrets, embedded_vault=embedded_vault)
    if settings.keyring.source == "none":
        env |= {
            "ECAP__KEYRING__SOURCE": "file",
            "ECAP__KEYRING__FILE": str(secrets.keyring),
        }
    if settings.auth.admin_email is None:
        env["ECAP__AUTH__ADMIN_EMAIL"] = ADMIN_EMAIL
    planned = Runtime(
        state_dir=str(state.root),
        owner=os.getpid(),
        started_at=time.time(),
        ports=chosen,
        environ=env,
    )
    return Plan(state, tuple(servers), planned, leases)


def _postgres_environ(port: int, secrets: Credentials, *, embedded_vault: bool) -> dict[str, str]:
    return {
        "ECAP__POSTGRES__HOST": LOOPBACK,
        "ECAP__POSTGRES__PORT": str(port),
        "ECAP__POSTGRES__SSLMODE": "disable",
        "ECAP__POSTGRES__PASSWORD": (
            "vault:ecap/postgres#password"
            if embedded_vault
            else f"file:{secrets.postgres_password}"
        ),
    }


def _leases(settings: Settings, bao: OpenBao, secrets: Credentials, *, port: int) -> Leases | None:
    """Raises Misconfigured when the embedded Vault server cannot lease what is asked for."""
    if settings.vault.database_role is None:
        return None
    asked = (settings.postgres.host, settings.vault.database_role, settings.postgres.user)
    if asked != (None, LEASES, OWNER):
        raise Misconfigured(
            f"vault.database_role: the embedded Vault server has only {LEASES!r}, and only for"
            f" the user {OWNER!r} of the embedded PostgreSQL; unset it, or set vault.address"
        )
    return Leases(
        bao,
        settings.postgres.model_copy(update={"host": LOOPBACK, "port": port, "sslmode": "disable"}),
        password_file=secrets.leases_password,
        superuser_file=secrets.postgres_superuser_password,
    )


def _vault_environ(bao: OpenBao) -> dict[str, str]:
    found = bao.settings(ROLE)
    return {
        "ECAP__VAULT__ADDRESS": str(found.address),
        "ECAP__VAULT__MOUNT": found.mount,
        "ECAP__VAULT__ROLE_ID": str(found.role_id),
        "ECAP__VAULT__SECRET_ID_FILE": str(found.secret_id_file),
    }


@asynccontextmanager
async def running(planned: Plan, *, on_ready: OnReady = lambda _: None) -> AsyncIterator[Runtime]:
    """All servers of the plan, started together, stopped in reverse order."""
    async with AsyncExitStack() as stack:
        # Before any is started: one that fails, or is cut off, has left a process too.
        for server in planned.servers:
            stack.push_async_callback(server.stop)
        ready = await together({one.name: _timed(one, on_ready) for one in planned.servers})
        if planned.leases is not None:
            await planned.leases.prepare()
        found = msgspec.structs.replace(planned.runtime, servers=tuple(ready))
        runtime.write(planned.state, found)
        yield found


async def _timed(server: Embedded, on_ready: OnReady) -> Server:
    started_at = time.time()
    clock = time.perf_counter()
    started = await server.start()
    ready = Server(
        name=server.name,
        host=LOOPBACK,
        port=server.port,
        pid=started.pid,
        started_at=started_at,
        ready_s=round(time.perf_counter() - clock, 3),
        log=str(started.log_path),
    )
    on_ready(ready)
    return ready


@asynccontextmanager
async def open_servers(
    settings: Settings,
    state_dir: Path,
    *,
    environ: Mapping[str, str] | None = None,
    durable: bool = True,
    beside_others: bool = False,
    on_ready: OnReady = lambda _: None,
) -> AsyncIterator[Runtime]:
    """The embedded servers alone, and what is left of a dead owner's ended first.

    Raises Conflict when another process runs from `state_dir`, Unavailable with
    the end of a server's log when it does not start.
    """
    state = open_state(state_dir)
    state.create()
    with state.lock():
        await asyncio.to_thread(end_leftovers, state)
        planned = plan(
            settings,
            state,
            environ=os.environ if environ is None else environ,
            durable=durable,
            beside_others=beside_others,
        )
        async with running(planned, on_ready=on_ready) as found:
            yield found
        runtime.write(state, msgspec.structs.replace(found, owner=None, servers=()))
