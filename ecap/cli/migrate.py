"""`ecap migrate`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import typer

from ecap.cli.failure import fail
from ecap.clients.database import open_database
from ecap.clients.migrations import migrate
from ecap.config import load
from ecap.errors import EcapError
from ecap.local.state.running import environ_here

app = typer.Typer(add_completion=False)


@app.command()
def main() -> None:
    """Bring the database to the newest schema; safe to repeat, and to run twice at once."""
    try:
        applied = asyncio.run(_migrate(environ_here()))
    except EcapError as exc:
        raise fail(exc) from exc
    for name in applied:
        print(f"applied {name}")
    print(f"{len(applied)} applied" if applied else "up to date")


async def _migrate(environ: Mapping[str, str]) -> list[str]:
    async with open_database(load(environ), service="migrate") as pool:
        return await migrate(pool)
