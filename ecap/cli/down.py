"""`ecap down`."""

from __future__ import annotations

import os
import signal
import time
from typing import Annotated

import typer

from ecap.cli.failure import fail
from ecap.config import load
from ecap.errors import EcapError
from ecap.local.process.process import end_leftovers
from ecap.local.ray.node import RayNode, end_orphans
from ecap.local.state.folder import open_state

app = typer.Typer(add_completion=False)

_POLL_S = 0.1


@app.command()
def main(
    timeout_s: Annotated[float, typer.Option("--timeout", help="seconds to wait")] = 60.0,
) -> None:
    """End what `ecap up` started in another terminal; the data stays."""
    try:
        state = open_state(load(secrets=False).state_dir)
    except EcapError as exc:
        raise fail(exc) from exc
    if not state.run.exists():
        print("Nothing was ever started here.")
        return
    begin = time.monotonic()
    owner = state.owner()
    if owner is None:
        ended = end_leftovers(state)
        end_orphans(RayNode.folder_of(state))
        print(f"Ended what was left behind: {', '.join(ended)}." if ended else "Nothing runs.")
        return
    os.kill(owner, signal.SIGTERM)
    while state.owner() == owner:
        if time.monotonic() - begin > timeout_s:
            raise fail(
                TimeoutError(f"process {owner} has not ended after {timeout_s:.0f} s"),
                hint=f"kill -9 {owner}; the next `ecap up` cleans up",
            )
        time.sleep(_POLL_S)
    print(f"Stopped in {time.monotonic() - begin:.1f} s; the data stays.")
