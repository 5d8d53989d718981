"""`ecap status`."""

from __future__ import annotations

import asyncio
import sys
import time

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ecap.cli.failure import fail
from ecap.cli.options import Json
from ecap.config import load
from ecap.errors import EcapError
from ecap.local.report import Report, report
from ecap.local.state.folder import open_state

app = typer.Typer(add_completion=False)

_MIB = 1 << 20


@app.command()
def main(
    json: Json = False,
) -> None:
    """What runs here: servers, services and actors. Exit code 3 when nothing does."""
    try:
        state = open_state(load(secrets=False).state_dir)
        found = asyncio.run(report(state, now=time.time()))
    except EcapError as exc:
        raise fail(exc) from exc
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        _print(found, Console())
    if not found.running:
        raise typer.Exit(3)


def _print(found: Report, console: Console) -> None:
    if not found.running:
        console.print(f"Nothing runs from {found.state_dir}; `ecap up` starts it.")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "name", "state", "address"):
        table.add_column(column, no_wrap=True)
    for column in ("processes", "memory", "up"):
        table.add_column(column, justify="right", no_wrap=True)
    order = ("server", "service", "actor", "process")
    for part in sorted(found.parts, key=lambda p: order.index(p.kind)):
        colour = "green" if part.state == "running" else "red"
        table.add_row(
            part.kind,
            part.name,
            f"[{colour}]{part.state}[/]",
            part.address,
            str(part.processes),
            f"{part.memory_bytes / _MIB:,.0f} MiB",
            _age(part.uptime_s),
        )
    console.print(table)
    console.print(
        f"\n{found.memory_bytes / _MIB:,.0f} MiB in all (shared memory counted once), "
        f"process {found.owner}, front door {found.front_door or 'not open yet'}",
        highlight=False,
        soft_wrap=True,
    )


def _age(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"
