"""From a change to the last acknowledged callback of 50 subscribers: by an operator, a file, Vault.

The history has the hub's own times, and all clocks are those of one machine.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable
from typing import Any

from bench import subscribers
from bench.changing import Operator, row
from bench.system import VAULT_PATH
from ecap.config import load, vault_login
from ecap.config.loading import config_dir
from ecap.local.credentials import Credentials
from ecap.local.state import open_state
from ecap.local.vault_first import OPERATOR_ROLE

_SUBSCRIBERS = 50
_WARM = 20
_CHANGES = 200
_WRITES = 20
# All processes follow it: every member has a callback that does something.
_KEY = "log.level"
_LEVELS = ("WARNING", "ERROR")


async def measure(operator: Operator) -> list[dict[str, Any]]:
    own = await operator.callbacks(_KEY)
    actors = await asyncio.to_thread(subscribers.start, _SUBSCRIBERS - own)
    spread = f"{own} of the system, {len(actors)} more, each a Ray actor"
    try:
        rows = await _by_operator(operator, actors, spread)
        await operator.change({}, _KEY)
        rows += await _by_source(operator, "files", "file save", _file())
        rows += await _by_source(operator, "vault", "Vault write", _vault())
    finally:
        await asyncio.to_thread(subscribers.end, actors)
    return rows


async def _by_operator(operator: Operator, actors: list[Any], spread: str) -> list[dict[str, Any]]:
    """By a call of the hub. Between changes the baseline: as many calls at once of actors
    that do nothing."""
    as_many = list(itertools.islice(itertools.cycle(actors), _SUBSCRIBERS))
    took: dict[str, list[float]] = {}
    for number, level in zip(range(_WARM + _CHANGES), itertools.cycle(_LEVELS), strict=False):
        begun = time.time()
        version = await operator.change({_KEY: level})
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
    calls, whole = (
        f"{_SUBSCRIBERS} Ray calls at once",
        f"change to last of {_SUBSCRIBERS} callbacks",
    )
    facts = {"spread": spread, "changes": _CHANGES}
    return [
        row(whole, took["all"], baseline=calls, of=took["calls"]) | facts,
        row("  validated by the hub", took["decided"], baseline="all of it", of=took["all"]),
        row("  all asked", took["asked"], baseline="all of it", of=took["all"]),
        row("  applied by all", took["applied"], baseline="all of it", of=took["all"]),
        row("change to its answer", took["answer"], baseline=calls, of=took["calls"]),
        row(calls, took["calls"], baseline="", of=took["calls"]),
    ]


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
    secrets = vault_login.log_in(settings.vault.model_copy(update=log_in))
    return lambda level: secrets.write(VAULT_PATH, {_KEY: level})
