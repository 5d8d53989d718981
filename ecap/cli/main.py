"""`ecap`: one line a command; its module is imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# name: module with an `app: typer.Typer`, one sentence.
COMMANDS = {
    "up": ("ecap.cli.up", "Start everything on this machine, in the foreground."),
    "down": ("ecap.cli.down", "End what `ecap up` started."),
    "status": ("ecap.cli.status", "What runs: servers, services and actors."),
    "demo": ("ecap.cli.demo", "Send shoppers over HTTP, then compare every stage to the cent."),
    "doctor": ("ecap.cli.doctor", "Look for what would go wrong, and say what to do."),
    "config": ("ecap.cli.config", "See settings, where each comes from, and what changed."),
    "secrets": ("ecap.cli.secrets", "Store and read secrets, and rotate the keys they rest under."),
    "secret": ("ecap.cli.secret", "Print one generated secret, as the administrator's password."),
    "job": (
        "ecap.cli.job",
        "Batch jobs: recompute revenue, try fraud thresholds, archive.",
    ),
    "dlq": ("ecap.cli.dlq", "Look at events that were set aside, and replay them."),
    "openapi": ("ecap.cli.openapi", "The OpenAPI document of all services."),
    "manifest": ("ecap.cli.manifest", "What Ray Serve deploys on a cluster, from `configs/`."),
    "exporter": ("ecap.cli.exporter", "Serve the metrics of a cluster's pod."),
    "migrate": ("ecap.cli.migrate", "Bring the database to the newest schema."),
}


class Later(TyperCommand):
    """Knows its help; everything else is the real command's."""

    def __init__(self, name: str, module: str, sentence: str) -> None:
        super().__init__(name, help=sentence)
        self._module = module

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        real = typer.main.get_command(import_module(self._module).app)
        return real.make_context(info_name, args, parent, **extra)


class Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return Later(cmd_name, *COMMANDS[cmd_name])


cli = Commands(
    name="ecap",
    help="An e-commerce analytics platform on Ray, on this machine.",
    no_args_is_help=True,
)


def app() -> None:
    cli(windows_expand_args=False)


def fail(error: Exception, *, hint: str | None = None) -> typer.Exit:
    """One clear sentence on stderr, for `raise fail(error)`."""
    print(f"ecap: {error}", file=sys.stderr)
    if hint:
        print(f"      {hint}", file=sys.stderr)
    return typer.Exit(1)


if __name__ == "__main__":
    app()
