"""From a change to the last acknowledged callback of 50 subscribers: by an operator, a file, Vault.

Of the system's own replicas and actors; then of 50 processes, a callback each, of which most
are there for this alone; then of 50 processes that are all asked before.

The history has the hub's own times, and all clocks are those of one machine.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench import subscribers
from bench.changing import Operator, row
from bench.system import VAULT_PATH
from ecap.config import load
from ecap.config.secrets.vault import login
from ecap.config.sources.startup import config_dir
from ecap.local.servers.credentials import Credentials
from ecap.local.servers.vault_setup import OPERATOR_ROLE
from ecap.local.state.folder import open_state

_SUBSCRIBERS = 50
_WARM = 20
_CHANGES = 200
_WRITES = 20
# All processes follow it: every member has a callback that does something.
_KEY = "log.level"
_LEVELS = ("WARNING", "ERROR")
# Every replica, and every subscriber of ours, has a check of its own for it.
_CHECKED = "mesh.default.max_concurrency"
_TOGETHER = (
    {
        _KEY: "WARNING",
        "http.request_timeout_s": 9.0,
        "limits.lease_s": 0.9,
        "postgres.pool_max_size": 7,
        "telemetry.sample_ratio": 0.2,
    },
    {
        _KEY: "ERROR",
        "http.request_timeout_s": 8.0,
        "limits.lease_s": 0.8,
        "postgres.pool_max_size": 6,
        "telemetry.sample_ratio": 0.3,
    },
)


async def measure(operator: Operator) -> list[dict[str, Any]]:
    rows = await _of_the_system(operator)
    own = await operator.callbacks(_KEY)
    actors = await asyncio.to_thread(subscribers.start, range(_SUBSCRIBERS - own))
    try:
        whole = f"change to last of {_SUBSCRIBERS} processes"
        levels = [{_KEY: level} for level in _LEVELS]
        rows += await _by_operator(operator, actors, whole, levels)
        await operator.change({}, _KEY)
        rows += await _by_source(operator, "files", "file save", _file())
        rows += await _by_source(operator, "vault", "Vault write", _vault())
        missing = _SUBSCRIBERS - await operator.callbacks(_CHECKED)
        more = range(len(actors), len(actors) + missing)
        actors += await asyncio.to_thread(subscribers.start, more)
        whole = f"change to last of {_SUBSCRIBERS}, each asked first"
        limits = [{_CHECKED: limit} for limit in (90, 80)]
        rows += await _by_operator(operator, actors, whole, limits)
        await operator.change({}, _CHECKED)
    finally:
        await asyncio.to_thread(subscribers.end, actors)
    return rows


async def _of_the_system(operator: Operator) -> list[dict[str, Any]]:
    """One change of several settings: its replicas and actors have about 50 subscribers."""
    count = await operator.callbacks(*_TOGETHER[0])
    assert count >= _SUBSCRIBERS, count
    took = await _changes(operator, _TOGETHER)
    await operator.change({}, *_TOGETHER[0])
    name = f"change to last of {count} callbacks"
    facts = {"spread": f"over the {await operator.members()} processes of the system"}
    return [row(name, took["all"], baseline="the limit of 100 ms", of=[0.1]) | facts]


async def _by_operator(
    operator: Operator, actors: list[Any], whole: str, sets: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """By a call of the hub. Between changes the baseline: as many calls at once of actors
    that do nothing."""
    calls = f"{_SUBSCRIBERS} Ray calls at once"
    took = await _changes(operator, sets, between=actors)
    facts = {"changes": _CHANGES, "processes": await operator.members()}
    return [
        row(whole, took["all"], baseline=calls, of=took["calls"]) | facts,
        row("  validated by the hub", took["decided"], baseline="all of it", of=took["all"]),
        row("  all asked", took["asked"], baseline="all of it", of=took["all"]),
        row("  applied by all", took["applied"], baseline="all of it", of=took["all"]),
        row("  to its answer", took["answer"], baseline=calls, of=took["calls"]),
        row(calls, took["calls"], baseline="", of=took["calls"]),
    ]


async def _changes(
    operator: Operator, sets: Sequence[Mapping[str, Any]], *, between: Sequence[Any] = ()
) -> dict[str, list[float]]:
    """Seconds of each, from before the call."""
    as_many = list(itertools.islice(itertools.cycle(between), _SUBSCRIBERS)) if between else []
    took: dict[str, list[float]] = {}
    for number, change in zip(range(_WARM + _CHANGES), itertools.cycle(sets), strict=False):
        begun = time.time()
        version = await operator.change(change)
        answered = time.time()
        found = await operator.round(version)
        called = time.time()
        await asyncio.gather(*(actor.nothing.remote() for actor in as_many))
        if number >= _WARM:
            for name, seconds in (
                ("calls", time.time() - called),
                ("all", found.settled - begun),
                ("decided", found.proposed - begun),
                ("asked", found.applied - found.proposed),
                ("applied", found.settled - found.applied),
                ("answer", answered - begun),
            ):
                took.setdefault(name, []).append(seconds)
    return took


async def _by_source(
    operator: Operator, source: str, name: str, write: Callable[[str], None]
) -> list[dict[str, Any]]:
    """From before the write. The second row begins when the source has read the change; the
    quiet time after a file event, or half of `vault.poll_s`, lies before."""
    whole: list[float] = []
    ours: list[float] = []
    for level in itertools.islice(itertools.cycle(_LEVELS), _WRITES):
        version = await operator.version()
        begun = time.time()
        await asyncio.to_thread(write, level)
        found = await operator.round(version + 1)
        whole.append(found.settled - begun)
        ours.append(found.settled - await operator.noticed(source))
    return [
        row(f"{name} to last callback", whole, baseline="the limit of 1 s", of=[1.0]),
        row("  since it was noticed", ours, baseline="all of it", of=whole),
    ]


def _file() -> Callable[[str], None]:
    settings = load(secrets=False)
    path = config_dir(os.environ) / f"{settings.environment}.yaml"
    before = path.read_text()

    def write(level: str) -> None:
        path.write_text(f"{before}\nlog: {{level: {level}}}\n")

    return write


def _vault() -> Callable[[str], None]:
    settings = load(secrets=False)
    operator = Credentials(open_state(settings.state_dir)).log_in(OPERATOR_ROLE)
    log_in = {"role_id": operator.role_id, "secret_id_file": operator.secret_id_file}
    secrets = login.log_in(settings.vault.model_copy(update=log_in))
    return lambda level: secrets.write(VAULT_PATH, {_KEY: level})
