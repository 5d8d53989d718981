"""`ecap manifest`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
import yaml

from ecap.cli.failure import fail
from ecap.config import load
from ecap.errors import EcapError
from ecap.runtime.manifest import manifest

app = typer.Typer(add_completion=False)

_HEAD = "# From configs/{}.yaml by `ecap manifest --environment {}`; change it there.\n"


def rendered(environment: str) -> str:
    """Files alone decide, as for everybody who renders it. Raises Misconfigured."""
    chosen = {k: v for k, v in os.environ.items() if k == "ECAP_CONFIG_DIR"}
    settings = load({**chosen, "ECAP_ENVIRONMENT": environment}, secrets=False)
    text = yaml.safe_dump(manifest(settings), sort_keys=False)
    return _HEAD.format(environment, environment) + text


@app.command()
def main(
    environment: Annotated[str, typer.Option(help="development, staging or production")],
) -> None:
    """What Ray Serve deploys on a cluster, from `configs/`, on stdout."""
    try:
        sys.stdout.write(rendered(environment))
    except EcapError as exc:
        raise fail(exc) from exc
