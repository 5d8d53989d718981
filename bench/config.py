"""Live configuration: how fast a change is everywhere, what it costs others, what reading costs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from bench.http import product
from bench.system import System


def measure(system: System) -> list[dict[str, Any]]:
    """In a process of its own, because Ray reads its environment when it is imported."""
    url = f"{system.runtime.front_door}/api/v1/catalog/products/{product(system)}"
    out = system.state_dir.with_name("live.json")
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "bench.live", url, str(out)], env=system.environ, check=True
    )
    found: list[dict[str, Any]] = json.loads(out.read_text())
    return found
