"""The settings of what runs here, for commands in another terminal."""

from __future__ import annotations

import os

from ecap.config import Settings, load
from ecap.local.state import runtime
from ecap.local.state.folder import open_state


def environ_here() -> dict[str, str]:
    """The environment of the workers of the running `ecap up`; without one, this process's."""
    state = open_state(load(secrets=False).state_dir)
    found = runtime.read(state) if state.run.exists() and state.owner() else None
    return {**os.environ, **(found.environ if found else {})}


def settings_here() -> Settings:
    """As the workers of the running `ecap up` see them; without one, as configured."""
    return load(environ_here())
