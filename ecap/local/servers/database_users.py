"""Leased PostgreSQL users between the embedded servers: who may make them, and where.

Repeated at each start: the port may be another, and so may what an older start made.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import SecretStr

from ecap.clients.postgres import open_pool
from ecap.config.secrets.vault import login
from ecap.config.settings.connections.postgres import Postgres as Section
from ecap.errors import Misconfigured, Unavailable
from ecap.local.servers.postgres import SUPERUSER, literal, quoted
from ecap.local.servers.vault import OpenBao
from ecap.local.servers.vault_setup import DATABASE_ROLE, LEASES, OWNER

MAKER = "ecap_leases"
"""PostgreSQL role that makes and drops leased users: members of the owner, and no others."""


class Leases:
    def __init__(
        self, bao: OpenBao, postgres: Section, *, password_file: Path, superuser_file: Path
    ) -> None:
        self._bao = bao
        self._postgres = postgres
        self._password_file = password_file
        self._superuser_file = superuser_file

    async def prepare(self) -> None:
        """When both servers answer. Raises Misconfigured for what an older ECAP set up."""
        password = self._password_file.read_text().strip()
        await asyncio.gather(self._maker(password), asyncio.to_thread(self._engine, password))

    async def _maker(self, password: str) -> None:
        secret = SecretStr(self._superuser_file.read_text().strip())
        root = self._postgres.model_copy(update={"user": SUPERUSER, "password": secret})
        maker, owner = quoted(MAKER), quoted(OWNER)
        async with open_pool(root, service="leases") as pool, pool.transaction() as conn:
            # Statements are no place for a password, nor is their log.
            await conn.execute("SET LOCAL log_min_duration_statement = -1")
            if not await conn.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", MAKER):
                await conn.execute(f"CREATE ROLE {maker} LOGIN CREATEROLE")
            await conn.execute(f"ALTER ROLE {maker} PASSWORD {literal(password)}")
            terms = "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
            await conn.execute(f"GRANT {owner} TO {maker} {terms}")

    def _engine(self, password: str) -> None:
        postgres = self._postgres
        url = f"postgresql://{{{{username}}}}:{{{{password}}}}@{postgres.host}:{postgres.port}"
        try:
            setup = login.log_in(self._bao.settings(DATABASE_ROLE))
        except Unavailable as exc:
            raise Misconfigured(
                f"{exc.detail}: an older ECAP set up the embedded Vault server, without leases;"
                " keep what `ecap secrets get` tells of your own secrets, and move"
                " .ecap/data/vault away"
            ) from exc
        setup.database_connection(
            LEASES,
            mount="database",
            url=f"{url}/{postgres.database}?sslmode=disable",
            username=MAKER,
            password=password,
            roles=[LEASES],
        )
