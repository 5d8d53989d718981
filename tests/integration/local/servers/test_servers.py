"""The embedded servers as others rely on them."""

from __future__ import annotations

import socket
from pathlib import Path

import asyncpg
import pytest
from free_ports import on_a_free_port

from ecap.config import Settings
from ecap.local.servers.kafka import Kafka
from ecap.local.state.folder import open_state


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


async def test_who_has_the_port_is_not_taken_for_our_broker(tmp_path: Path) -> None:
    """And the tests try another port then."""
    state = open_state(tmp_path / "state")
    state.create()
    tried = []

    async def start(port: int) -> Kafka:
        tried.append(port)
        broker = Kafka(state, port=port)
        if len(tried) == 1:
            with socket.create_server(("127.0.0.1", port)):
                await broker.start()
        else:
            await broker.start()
        return broker

    broker = await on_a_free_port(start)
    await broker.stop()
    assert len(set(tried)) == 2
