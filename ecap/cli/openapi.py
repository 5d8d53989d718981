"""`ecap openapi`."""

from __future__ import annotations

import sys
from typing import Annotated, Any, get_args

import msgspec
import typer

from ecap.config.settings.services.deployments import ServiceName
from ecap.runtime.services import service_of
from ecap.serve.endpoints import apidoc, openapi
from ecap.serve.replica import health

app = typer.Typer(add_completion=False)


def whole() -> dict[str, Any]:
    """The document of all services, from their code."""
    apis = [health.completed(service_of(name).api) for name in get_args(ServiceName)]
    return openapi.merge((openapi.document(api) for api in apis), title="ECAP")


@app.command()
def main(
    markdown: Annotated[bool, typer.Option("--markdown", help="as docs/api.md")] = False,
) -> None:
    """The OpenAPI document of all services, on stdout; nothing has to run."""
    document = whole()
    if markdown:
        sys.stdout.write(apidoc.markdown(document))
    else:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document)).decode() + "\n")
