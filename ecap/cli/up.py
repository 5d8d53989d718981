"""`ecap up`."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.status import Status

from ecap import logs
from ecap.cli.failure import fail
from ecap.config import Settings, load
from ecap.config.settings.services.deployments import ServiceName
from ecap.errors import EcapError
from ecap.lean import keep_lean
from ecap.local.servers.credentials import Credentials
from ecap.local.servers.vault_setup import LEASES
from ecap.local.state.folder import open_state
from ecap.local.state.runtime import Runtime
from ecap.local.up import SERVICES, up
from ecap.local.welcome import addresses, next_steps, users

app = typer.Typer(add_completion=False)

_FORCED = 130


class Terminal:
    """A line for each part that is ready; on a terminal, also what is being waited for."""

    def __init__(self, console: Console, *, on_lost: Callable[[], None]) -> None:
        self._console = console
        self._on_lost = on_lost
        self._status: Status | None = None

    def ready(self, name: str, detail: str, seconds: float) -> None:
        self._console.print(
            f"  [green]ready[/]  {name:<14} {detail:<28} [dim]{seconds:5.1f} s[/]",
            highlight=False,
            soft_wrap=True,
        )

    def note(self, text: str) -> None:
        self._console.print(f"  [yellow]note[/]   {text}", highlight=False, soft_wrap=True)

    def waiting(self, text: str) -> None:
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        self._status.update(f"waiting for {text}")

    def lost(self, text: str) -> None:
        self._console.print(f"  [red]lost[/]   {text}", highlight=False, soft_wrap=True)
        self._on_lost()

    def done(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None


@app.command()
def main(
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Ray's dashboard too (290 MB)")
    ] = False,
    leased: Annotated[
        bool,
        typer.Option(
            "--leased-credentials",
            help="services log in at PostgreSQL with users leased from Vault",
        ),
    ] = False,
    ignore_overrides: Annotated[
        bool,
        typer.Option(
            "--ignore-overrides",
            help="without what `ecap config set` has set: when such a value keeps ECAP down",
        ),
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="a service to start; repeat for more")
    ] = None,
) -> None:
    """Start everything on this machine and stay in the foreground; Ctrl-C ends it.

    Servers whose address is configured are used as they are; the others are started
    here, with their data in .ecap.
    """
    begin = time.perf_counter()
    services = tuple(name for name in SERVICES if not only or name in only)
    if unknown := set(only or ()) - set(SERVICES):
        raise typer.BadParameter(f"no such service: {', '.join(sorted(unknown))}")
    console = Console()
    keep_lean()
    try:
        settings = load(secrets=False)
        if leased:
            found = settings.vault.model_copy(update={"database_role": LEASES})
            settings = settings.model_copy(update={"vault": found})
        logs.setup(service="up", level="WARNING", style=settings.log.style)
        asyncio.run(
            _run(
                settings,
                console,
                services,
                dashboard=dashboard,
                ignore_overrides=ignore_overrides,
                begin=begin,
            )
        )
    except EcapError as exc:
        raise fail(exc) from exc


async def _run(
    settings: Settings,
    console: Console,
    services: tuple[ServiceName, ...],
    *,
    dashboard: bool,
    ignore_overrides: bool,
    begin: float,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    main_task = asyncio.current_task()
    assert main_task is not None
    started = False

    def asked() -> None:
        if stop.is_set():
            _force()
        stop.set()
        if not started:
            main_task.cancel()

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(signum, asked)
    lost = False

    def give_up() -> None:
        nonlocal lost
        lost = True
        stop.set()

    screen = Terminal(console, on_lost=give_up)
    console.print(
        f"Starting ECAP in {settings.state_dir.absolute()}", highlight=False, soft_wrap=True
    )
    ending = begin
    try:
        async with up(
            settings,
            screen=screen,
            environ=dict(os.environ),
            dashboard=dashboard,
            services=services,
            ignore_overrides=ignore_overrides,
        ) as it:
            screen.done()
            started = True
            _show(it, console, seconds=time.perf_counter() - begin)
            await stop.wait()
            console.print("Stopping; Ctrl-C forces the end.")
            ending = time.perf_counter()
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
        console.print("Stopped before all was ready.")
        raise typer.Exit(_FORCED) from None
    finally:
        screen.done()
    console.print(f"Stopped in {time.perf_counter() - ending:.1f} s; the data stays.")
    if lost:
        raise typer.Exit(1)


def _show(runtime: Runtime, console: Console, *, seconds: float) -> None:
    password = Credentials(open_state(Path(runtime.state_dir))).demo_password
    command = _command()
    people = users(runtime, command=command, demo_password_file=password, show=console.is_terminal)
    lines = ["", *(f"  {name:<24} {value}" for name, value in addresses(runtime))]
    lines += ["", *(f"  {name:<24} {value}" for name, value in people)]
    lines += ["", "Next, in another terminal:"]
    lines += [f"  {name:<24} {value}" for name, value in next_steps(command)]
    lines += ["", f"Ready in {seconds:.1f} s. Ctrl-C ends everything."]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _command() -> str:
    """As it can be typed here: the environment is rarely on the PATH."""
    if shutil.which("ecap"):
        return "ecap"
    return os.path.relpath(sys.argv[0])


def _force() -> None:
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    os._exit(_FORCED)
