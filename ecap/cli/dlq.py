"""`ecap dlq`: events that were set aside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from ecap.actors.stream.deadletters import DeadLetters
from ecap.cli.failure import fail
from ecap.cli.options import Json
from ecap.cli.told import who
from ecap.clients.database import open_database
from ecap.errors import EcapError, Invalid
from ecap.local.state.running import settings_here

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Look at dead letters and replay them."
)
T = TypeVar("T")

_COLUMNS = ("id", "reason", "status", "pipeline", "event")


@app.command("list")
def find(
    pipeline: Annotated[str | None, typer.Option(help="only of this pipeline")] = None,
    topic: Annotated[str | None, typer.Option(help="only of this topic")] = None,
    status: Annotated[
        Literal["open", "requested", "replayed"] | None, typer.Option(help="only with this status")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="newest first")] = 50,
    as_json: Json = False,
) -> None:
    """List dead letters, newest first."""
    rows = _run(lambda x: x.find(pipeline=pipeline, topic=topic, status=status, limit=limit))
    if as_json:
        _print_json([_plain(dict(row)) for row in rows])
        return
    if not rows:
        print("no dead letters")
        return
    table = Table(box=None)
    for name in _COLUMNS:
        table.add_column(name, no_wrap=name in _COLUMNS[:3], overflow="fold")
    for row in rows:
        event = f"{row['topic']}/{row['partition']} {row['pos']}"
        table.add_row(str(row["id"]), row["reason"], row["status"], row["pipeline"], event)
    Console().print(table)


@app.command()
def show(
    letter: Annotated[UUID, typer.Argument(help="id of the dead letter")], as_json: Json = False
) -> None:
    """Show one dead letter, its event included."""
    found = _plain(dict(_run(lambda letters: letters.show(letter))))
    if as_json:
        _print_json(found)
        return
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {value}")


@app.command()
def replay(
    ids: Annotated[list[UUID] | None, typer.Argument(help="ids of dead letters")] = None,
    every: Annotated[bool, typer.Option("--all", help="every open one")] = False,
    pipeline: Annotated[str | None, typer.Option(help="every open one of this pipeline")] = None,
    as_json: Json = False,
) -> None:
    """Ask the shards that own them to apply dead letters again, each exactly once."""
    if not ids and not every and pipeline is None:
        raise fail(Invalid("name the dead letters, or give --all or --pipeline"))
    asked = _run(
        lambda letters: letters.request(
            by=who(), now=datetime.now(UTC), ids=ids or None, pipeline=pipeline
        )
    )
    if as_json:
        _print_json({"requested": [str(letter) for letter in asked]})
        return
    print(f"{len(asked)} requested; `ecap dlq list` shows what becomes of them")


def _run(work: Callable[[DeadLetters], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with open_database(settings_here(), service="dlq") as pool:
            return await work(DeadLetters(pool))

    try:
        return asyncio.run(connected())
    except EcapError as exc:
        raise fail(exc) from exc


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event is text unless it is broken; then it is shown as far as it is."""
    return {
        name: value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
        for name, value in row.items()
    }


def _print_json(document: Any) -> None:
    print(json.dumps(document, default=str, indent=2))
