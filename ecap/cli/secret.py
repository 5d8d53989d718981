"""`ecap secret`."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import SecretStr

from ecap.cli.failure import fail
from ecap.errors import EcapError, Misconfigured
from ecap.local.state.running import settings_here

app = typer.Typer(add_completion=False)


@app.command()
def main(
    name: Annotated[str, typer.Argument(help="a setting, as auth.admin_password")],
) -> None:
    """Print one secret setting, wherever it is kept."""
    try:
        print(_find(name))
    except EcapError as exc:
        raise fail(exc) from exc


def _find(name: str) -> str:
    value: object = settings_here()
    for part in name.split("."):
        value = getattr(value, part, None)
    if not isinstance(value, SecretStr):
        raise Misconfigured(f"{name} is not a secret setting, or is not set")
    return value.get_secret_value()
