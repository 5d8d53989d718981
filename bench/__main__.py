"""`make bench`: every figure beside its baseline of the same run, as a table and as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench import config, fraud, http, start
from bench.system import configurable, folder, running

PARTS = ("start", "http", "fraud", "config", "stream")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; repeat for more")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load for each figure")
    parser.add_argument("--rounds", type=int, default=3, help="of each HTTP figure; best counts")
    parser.add_argument("--events", type=int, default=200_000, help="of the stream")
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    return parser.parse_args()


def conditions() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "python -m bench " + " ".join(sys.argv[1:]),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30)),
        "load_before": round(os.getloadavg()[0], 2),
        "generator": "wrk" if shutil.which("wrk") else "asyncio, of our own",
    }


def main() -> None:
    wanted = arguments()
    parts = wanted.only or PARTS
    console = Console(soft_wrap=True, width=150)
    found: dict[str, Any] = {"conditions": conditions()}
    if set(parts) & {"start", "http", "fraud"}:
        with folder() as state_dir:
            _system(wanted, parts, state_dir / "state", found, console)
    if "config" in parts:
        console.print("config ...")
        with folder() as parent, running(parent / "state", configurable(parent / "state")) as it:
            found["config"] = config.measure(it)
    if "stream" in parts:
        console.print("stream ...")
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "bench.stream", str(wanted.events)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        found["stream"] = json.loads(done.stdout.splitlines()[-1])
    _show(found, console)
    wanted.out.mkdir(exist_ok=True)
    path = wanted.out / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(found, indent=1))
    console.print(f"\n{path}")


def _system(
    wanted: argparse.Namespace,
    parts: Any,
    state_dir: Path,
    found: dict[str, Any],
    console: Console,
) -> None:
    first_s = 0.0
    if "start" in parts:
        console.print("first start ...")
        with running(state_dir) as system:
            first_s = system.runtime.ready_s or 0.0
    console.print("start ...")
    with running(state_dir) as system:
        if "start" in parts:
            found["start"] = start.measure(system, first_s=first_s)
        if "fraud" in parts:
            console.print("fraud ...")
            found["fraud"] = fraud.measure(system, seconds=wanted.seconds * 2)
        if "http" in parts:
            console.print("http ...")
            found["http"] = http.measure(system, seconds=wanted.seconds, rounds=wanted.rounds)


def _show(found: dict[str, Any], console: Console) -> None:
    table = Table(box=None)
    for name in ("", "what", "value", "unit", "ratio", "to", "p50 ms", "p99 ms"):
        table.add_column(
            name, justify="right" if name in ("value", "ratio") else "left", no_wrap=True
        )
    for part in PARTS:
        for one in found.get(part, ()):
            table.add_row(
                part,
                one["name"],
                f"{one['value']:,}",
                one["unit"],
                f"{one['ratio']:.3f}" if one["baseline"] else "",
                one["baseline"],
                *(str(one.get(key, "")) for key in ("p50_ms", "p99_ms")),
            )
    console.print(table)
    console.print(found["conditions"])


if __name__ == "__main__":
    main()
