"""Options that commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(
        envvar="ECAP_URL",
        help="of a running ECAP; the token is read from ECAP_TOKEN. Without it: the one here",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="for programs")]
