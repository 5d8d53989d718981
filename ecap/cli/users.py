"""`ecap users`: accounts with roles, at a running ECAP."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from ecap.cli.door import open_door
from ecap.cli.failure import failed
from ecap.cli.options import Json, Url
from ecap.domain.accounts.roles import ROLE_SCOPES
from ecap.errors import EcapError, Invalid

_PATH = "/api/v1/auth/users"

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def users() -> None:
    """Accounts with roles."""


@app.command()
def add(
    email: Annotated[str, typer.Argument(help="of the new account")],
    role: Annotated[list[str], typer.Option(help="may stand several times")],
    name: Annotated[str | None, typer.Option(help="to show; none: the e-mail before its @")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Open an account. Its password is asked for, or is the first line of what is piped in.

    Exit code 1 when it is refused, 3 when nobody could be asked.
    """
    try:
        _known(role)
        body = {
            "email": email,
            "password": _password(),
            "display_name": name or email.partition("@")[0],
            "roles": sorted(set(role)),
        }
        with open_door(url, below=_PATH) as door:
            made = door.post("", body=body).document
    except EcapError as exc:
        raise failed(exc) from exc
    if json:
        sys.stdout.write(msgspec.json.encode(made).decode() + "\n")
    else:
        print(f"{made['email']}: {', '.join(made['roles'])}, id {made['id']}")


def _known(roles: list[str]) -> None:
    for role in roles:
        if role not in ROLE_SCOPES:
            raise Invalid(f"no role is called {role}; known are {', '.join(ROLE_SCOPES)}")


def _password() -> str:
    """Never an argument: those stand in the list of processes and in the shell's history."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
