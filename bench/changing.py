"""An operator of the running system, and when the hub says that each step was done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.load import percentile
from ecap.actors.hub_link import CONFIG
from ecap.actors.reach import RayActors
from ecap.config import load
from ecap.config.hub.requests import Change
from ecap.config.layers import keys
from ecap.config.layers.overrides import Edit

_PATIENCE_S = 30.0
_LOOK_S = 0.02


@dataclass(frozen=True)
class Round:
    """Unix times of one version; `settled`: the last member has acknowledged."""

    proposed: float
    applied: float
    settled: float


class Operator:
    def __init__(self) -> None:
        self._hub = RayActors(load(secrets=False)).transport(CONFIG)

    async def ask(self, method: str, payload: Any = None) -> Any:
        return await self._hub.send(method, payload, {}, _PATIENCE_S)

    async def change(self, sets: Mapping[str, Any], *unsets: str) -> int:
        """The version, which every member runs then."""
        change = Change(
            edit=Edit(dict(sets), unsets), author="bench", reason="measured", sections=("",)
        )
        done = await self.ask("change", change)
        assert done["behind"] == [], done
        return int(done["version"])

    async def callbacks(self, *changed: str) -> int:
        """Subscribers, over all members, that do something when these change."""
        return sum(
            any(keys.within(key, prefix) for key in changed)
            for one in (await self.ask("members"))["members"]
            for prefix in one["prefixes"]
        )

    async def members(self) -> int:
        return len((await self.ask("members"))["members"])

    async def version(self) -> int:
        return int((await self.ask("members"))["version"])

    async def round(self, version: int) -> Round:
        """When it is settled."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            page = await self.ask("history", {"before": None, "limit": 6})
            at = {one["what"]: one["at"] for one in page["entries"] if one["version"] == version}
            if "settled" in at:
                return Round(at["proposed"], at["applied"], at["settled"])
            assert time.monotonic() < until, f"version {version} was not settled"
            await asyncio.sleep(_LOOK_S)

    async def noticed(self, source: str) -> float:
        """When it read its last change, in Unix time."""
        found = (await self.ask("sources"))["sources"]
        return float(next(one["last_change"] for one in found if one["source"] == source))


def row(name: str, seconds: list[float], *, baseline: str, of: list[float]) -> dict[str, Any]:
    """Ratio of the p99s."""
    ms, base = (sorted(1000 * one for one in times) for times in (seconds, of))
    return {
        "name": name,
        "value": round(percentile(ms, 0.99), 2),
        "unit": "ms p99",
        "baseline": baseline,
        "ratio": round(percentile(ms, 0.99) / percentile(base, 0.99), 3),
        "p50_ms": round(percentile(ms, 0.5), 2),
        "p99_ms": round(percentile(ms, 0.99), 2),
    }
