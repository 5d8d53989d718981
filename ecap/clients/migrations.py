"""Forward-only SQL migrations: `ecap/migrations/<schema>/NNNN_name.sql`.

Run once, in order, each in a transaction, under one advisory lock. A file that
has run must never change: its hash is kept and compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from ecap import logs
from ecap.clients.postgres import Connection, Pool
from ecap.errors import Misconfigured

_log = logs.get("ecap.migrations")

# Any constant; it only has to be the same for every migrator of the database.
_LOCK = 0x45434150

_BOOTSTRAP = """
CREATE TABLE IF NOT EXISTS public.ecap_migrations (
    schema text NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema, name)
)
"""


@dataclass(frozen=True)
class Migration:
    schema: str
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def available() -> Iterator[Migration]:
    """By file name first, so that 0001 of every schema precedes 0002 of any."""
    root = resources.files("ecap").joinpath("migrations")
    found = [
        Migration(folder.name, file.name, file.read_text())
        for folder in root.iterdir()
        if folder.is_dir()
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    ]
    yield from sorted(found, key=lambda m: (m.name[:4], m.schema, m.name))


async def migrate(pool: Pool) -> list[str]:
    """Apply what is missing; answers what was applied.

    Raises Misconfigured for a database that another version of ECAP has made.
    """
    applied: list[str] = []
    async with pool.connection() as conn:
        await conn.execute("SELECT pg_advisory_lock($1)", _LOCK)
        try:
            await conn.execute(_BOOTSTRAP)
            known = {
                (row["schema"], row["name"]): row["sha256"]
                for row in await conn.fetch(
                    "SELECT schema, name, sha256 FROM public.ecap_migrations"
                )
            }
            wanted = list(available())
            _refuse_strangers(known, wanted)
            for migration in wanted:
                if (migration.schema, migration.name) not in known:
                    await _apply(conn, migration)
                    applied.append(f"{migration.schema}/{migration.name}")
        finally:
            await conn.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return applied


def _refuse_strangers(known: Mapping[tuple[str, str], str], wanted: Sequence[Migration]) -> None:
    """Before anything is applied: half of two versions would be worse than either."""
    here = {(migration.schema, migration.name): migration.sha256 for migration in wanted}
    for (schema, name), sha256 in known.items():
        if here.get((schema, name)) != sha256:
            trouble = "is not known to" if (schema, name) not in here else "is not that of"
            raise Misconfigured(
                f"the migration {schema}/{name} of this database {trouble} this version of ECAP:"
                " another one, or a development version, has made it."
                " Use that version, or an empty database; locally: move .ecap away"
            )


async def _apply(conn: Connection, migration: Migration) -> None:
    async with conn.transaction():
        await conn.execute("SET LOCAL statement_timeout = 0")
        await conn.execute(migration.sql)
        await conn.execute(
            "INSERT INTO public.ecap_migrations (schema, name, sha256) VALUES ($1, $2, $3)",
            migration.schema,
            migration.name,
            migration.sha256,
        )
    _log.info("migration applied", extra={"migration": f"{migration.schema}/{migration.name}"})
