"""The embedded servers as others rely on them."""

from __future__ import annotations

import asyncpg
import pytest

from ecap.config import Settings


async def test_the_database_role_owns_its_database_and_is_no_superuser(settings: Settings) -> None:
    postgres = settings.postgres
    assert postgres.password is not None
    connection = await asyncpg.connect(
        host=postgres.host,
        port=postgres.port,
        user=postgres.user,
        database=postgres.database,
        password=postgres.password.get_secret_value(),
    )
    try:
        superuser = await connection.fetchval(
            "select rolsuper from pg_roles where rolname = current_user"
        )
        await connection.execute("create schema probe; drop schema probe")
        await connection.fetchval("select count(*) from pg_stat_statements")
    finally:
        await connection.close()
    assert superuser is False


async def test_the_database_refuses_a_wrong_password(settings: Settings) -> None:
    postgres = settings.postgres
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            host=postgres.host,
            port=postgres.port,
            user=postgres.user,
            database=postgres.database,
            password="wrong",
        )
