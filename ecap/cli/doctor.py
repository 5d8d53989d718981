"""`ecap doctor`."""

from __future__ import annotations

import sys

import msgspec
import typer
from rich.console import Console

from ecap.cli.failure import fail
from ecap.cli.options import Json
from ecap.config import load
from ecap.errors import EcapError
from ecap.local.doctor import examine
from ecap.local.state.folder import open_state

app = typer.Typer(add_completion=False)

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@app.command()
def main(
    json: Json = False,
) -> None:
    """Look for what would go wrong here, and say what to do. Exit code 1 on a failure."""
    try:
        settings = load(secrets=False)
        findings = list(examine(settings, open_state(settings.state_dir)))
    except EcapError as exc:
        raise fail(exc) from exc
    if json:
        sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")
    else:
        console = Console()
        for finding in findings:
            console.print(
                f"[{_COLOURS[finding.level]}]{finding.level:<5}[/] {finding.check:<14} "
                f"{finding.detail}",
                highlight=False,
                soft_wrap=True,
            )
            if finding.remedy:
                console.print(f"      [dim]{finding.remedy}[/]", highlight=False, soft_wrap=True)
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(1)
