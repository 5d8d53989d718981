"""`ecap`: one line a command; its module is imported when it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def _up() -> typer.Typer:
    from ecap.cli.up import app

    return app


def _down() -> typer.Typer:
    from ecap.cli.down import app

    return app


def _status() -> typer.Typer:
    from ecap.cli.status import app

    return app


def _demo() -> typer.Typer:
    from ecap.cli.demo import app

    return app


def _doctor() -> typer.Typer:
    from ecap.cli.doctor import app

    return app


def _config() -> typer.Typer:
    from ecap.cli.config.commands import app

    return app


def _secrets() -> typer.Typer:
    from ecap.cli.secrets.commands import app

    return app


def _secret() -> typer.Typer:
    from ecap.cli.secret import app

    return app


def _users() -> typer.Typer:
    from ecap.cli.users import app

    return app


def _job() -> typer.Typer:
    from ecap.cli.job.commands import app

    return app


def _dlq() -> typer.Typer:
    from ecap.cli.dlq import app

    return app


def _audit() -> typer.Typer:
    from ecap.cli.audit import app

    return app


def _openapi() -> typer.Typer:
    from ecap.cli.openapi import app

    return app


def _manifest() -> typer.Typer:
    from ecap.cli.manifest import app

    return app


def _exporter() -> typer.Typer:
    from ecap.cli.exporter import app

    return app


def _migrate() -> typer.Typer:
    from ecap.cli.migrate import app

    return app


# Each with one sentence. Its code is imported when it is called: `ecap --help` is instant.
COMMANDS: Mapping[str, tuple[Callable[[], typer.Typer], str]] = {
    "up": (_up, "Start everything on this machine, in the foreground."),
    "down": (_down, "End what `ecap up` started."),
    "status": (_status, "What runs: servers, services and actors."),
    "demo": (_demo, "Send shoppers over HTTP, then compare every stage to the cent."),
    "doctor": (_doctor, "Look for what would go wrong, and say what to do."),
    "config": (_config, "See settings, where each comes from, and what changed."),
    "secrets": (_secrets, "Store and read secrets, and rotate the keys they rest under."),
    "secret": (_secret, "Print one generated secret, as the administrator's password."),
    "users": (_users, "Open accounts with roles."),
    "job": (_job, "Batch jobs: recompute revenue, try fraud thresholds, archive."),
    "dlq": (_dlq, "Look at events that were set aside, and replay them."),
    "audit": (_audit, "Who did what: the security log."),
    "openapi": (_openapi, "The OpenAPI document of all services."),
    "manifest": (_manifest, "What Ray Serve deploys on a cluster, from `configs/`."),
    "exporter": (_exporter, "Serve the metrics of a cluster's pod."),
    "migrate": (_migrate, "Bring the database to the newest schema."),
}


class Later(TyperCommand):
    """Knows its help; everything else is the real command's."""

    def __init__(self, name: str, load: Callable[[], typer.Typer], sentence: str) -> None:
        super().__init__(name, help=sentence)
        self._load = load

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        real = typer.main.get_command(self._load())
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


if __name__ == "__main__":
    app()
