"""`python -m bench.live URL OUT`: the parts of the config benchmark, in a process that joins Ray.

URL is a product, read while the configuration changes; OUT gets the rows.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
import timeit
from pathlib import Path
from typing import Any

import ray
import uvloop

from bench import publish
from bench.changing import Operator, row
from bench.load import get_at_rate
from ecap.actors.reach import NAMESPACE
from ecap.config import load
from ecap.config.member.member import Member

_PER_S = 100.0
_PAIRS = 8
_WINDOW_S = 2.0
_PAUSE_S = 0.4
# Of what each of the requests meets: its deadline, the limits, the pool, the mesh.
_UNDER_LOAD: tuple[tuple[str, tuple[Any, Any]], ...] = (
    ("http.request_timeout_s", (9.0, 10.0)),
    ("limits.lease_s", (0.9, 1.0)),
    ("postgres.pool_max_size", (7, 8)),
    ("mesh.default.max_concurrency", (90, 100)),
)
_READS = 1_000_000


async def _under_load(operator: Operator, url: str) -> list[dict[str, Any]]:
    """Windows of the same load with and without changes, by turns."""
    await get_at_rate(url, per_s=_PER_S, seconds=_WINDOW_S)  # warm
    quiet: list[float] = []
    changing: list[float] = []
    failed, changes = [0, 0], 0
    steps = itertools.cycle((key, values[i]) for i in (0, 1) for key, values in _UNDER_LOAD)
    for _ in range(_PAIRS):
        window = await get_at_rate(url, per_s=_PER_S, seconds=_WINDOW_S)
        quiet += window.times_s
        failed[0] += window.failed
        load = asyncio.create_task(get_at_rate(url, per_s=_PER_S, seconds=_WINDOW_S), name="load")
        until = time.monotonic() + _WINDOW_S - _PAUSE_S
        while time.monotonic() < until:
            await asyncio.sleep(_PAUSE_S)
            key, value = next(steps)
            await operator.change({key: value})
            changes += 1
        window = await load
        changing += window.times_s
        failed[1] += window.failed
    await operator.change({}, *(key for key, _ in _UNDER_LOAD))
    name = f"product GET at {_PER_S:.0f}/s"
    base = f"{name}, no changes"
    return [
        row(f"{name}, {changes} changes", changing, baseline=base, of=quiet)
        | {"failed": failed[1], "changes": changes},
        row(base, quiet, baseline="", of=quiet) | {"failed": failed[0]},
    ]


class _Plain:
    timeout_s = 1.0

    def __init__(self) -> None:
        self.timeout_s = 10.0


def _reading() -> list[dict[str, Any]]:
    """As a hot path reads: `process.settings.section.name`. The best of five, since what
    disturbs only ever slows it."""
    member = Member("bench", kind="bench", settings=load(), link=None, clock=time.monotonic)
    names = {"member": member, "plain": _Plain()}

    def read(expression: str) -> float:
        best = min(timeit.repeat(expression, globals=names, number=_READS, repeat=5))
        return round(best / _READS * 1e9, 1)

    plain = read("plain.timeout_s")
    ours = read("member.settings.http.request_timeout_s")
    return [
        {
            "name": "reading a setting",
            "value": ours,
            "unit": "ns",
            "baseline": "a plain attribute",
            "ratio": round(ours / plain, 2),
        },
        {
            "name": "reading a plain attribute",
            "value": plain,
            "unit": "ns",
            "baseline": "",
            "ratio": 1.0,
        },
    ]


async def _measured(url: str) -> list[dict[str, Any]]:
    ray.init(address="auto", namespace=NAMESPACE, log_to_driver=False)
    operator = Operator()
    rows = await publish.measure(operator)
    return [*rows, *await _under_load(operator, url), *_reading()]


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(uvloop.run(_measured(sys.argv[1]))))
