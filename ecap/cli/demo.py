"""`ecap demo`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Annotated

import typer
from rich.console import Console

from ecap import logs
from ecap.cli.failure import fail
from ecap.config import Settings, load
from ecap.demo.run import run
from ecap.demo.shoppers.plan import Wishes
from ecap.demo.show.outcome import Outcome
from ecap.demo.show.report import report
from ecap.demo.show.screen import Board, Lines
from ecap.errors import EcapError, NotFound, Unavailable
from ecap.local.state import runtime
from ecap.local.state.folder import open_state
from ecap.local.state.runtime import Runtime

app = typer.Typer(add_completion=False)

_DIFFERENT = 1
_NOT_COMPARED = 3
_FORCED = 130


@app.command()
def main(
    seconds: Annotated[float, typer.Option(min=1, help="how long shoppers order")] = 60.0,
    rate: Annotated[float, typer.Option(min=0.1, help="orders a second, about")] = 10.0,
    shoppers: Annotated[
        int | None, typer.Option(min=1, help="people; unset: one for four orders")
    ] = None,
    seed: Annotated[int, typer.Option(help="the same seed, the same shoppers")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="only the result, as JSON")] = False,
) -> None:
    """Send shoppers through the front door, then compare every stage to the cent.

    Ctrl-C ends the sending early and still compares.

    Exit code 0: all is equal; 1: something differs, with ids; 3: nothing runs.
    """
    wishes = Wishes(seed=seed, seconds=seconds, rate=rate, shoppers=shoppers)
    console = Console()
    try:
        found = _running()
        settings = load({**os.environ, **found.environ})
        logs.setup(service="demo", level="ERROR", style=settings.log.style)
        outcome = asyncio.run(_run(settings, found, wishes, console, quiet=as_json))
    except EcapError as exc:
        fail(exc)
        raise typer.Exit(_NOT_COMPARED) from exc
    except asyncio.CancelledError:
        print("Ended without comparing.", file=sys.stderr)
        raise typer.Exit(_FORCED) from None
    if as_json:
        print(json.dumps(outcome.document(), indent=2))
    else:
        report(outcome, console)
    raise typer.Exit(0 if outcome.ok else _DIFFERENT)


def _running() -> Runtime:
    """Raises NotFound or Unavailable, for a person."""
    state = open_state(load(secrets=False).state_dir)
    if not state.run.exists() or state.owner() is None:
        raise NotFound("nothing runs here; start it with `make up` first")
    found = runtime.read(state)
    if found is None or found.ready_s is None:
        raise Unavailable("ECAP is still starting; wait until `make up` says that it is ready")
    return found


async def _run(
    settings: Settings, found: Runtime, wishes: Wishes, console: Console, *, quiet: bool
) -> Outcome:
    closing = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None
    asked_before = False

    def asked() -> None:
        nonlocal asked_before
        if asked_before:
            task.cancel()
        asked_before = True
        closing.set()

    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, asked)
    with _screen(console, quiet=quiet) as screen:
        return await run(settings, found.front_door, wishes, screen=screen, closing=closing)


def _screen(console: Console, *, quiet: bool) -> Board | Lines:
    if quiet:
        return Lines(Console(quiet=True))
    return Board(console) if console.is_terminal else Lines(console)
