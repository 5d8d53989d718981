"""What runs under which name: the plain actors of this installation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from ecap.actors.limits import LimitLedger
from ecap.actors.pipeline import Pipeline
from ecap.actors.relay import OutboxRelay
from ecap.actors.shard import Shard
from ecap.config.settings import Settings
from ecap.errors import Misconfigured

RELAY = "relay"
LIMITS = "limits"
SHARED = "streams-0"

# By name, because pipelines are above this layer.
_PIPELINE = "ecap.pipelines.stream.{}.pipeline"


class Actor(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def health(self) -> Mapping[str, Any]: ...

    async def handle(self, method: str, payload: Any, headers: Mapping[str, str]) -> Any: ...


def names(settings: Settings) -> list[str]:
    """Every actor but the supervisor."""
    shards = [
        f"{pipeline}-{number}"
        for pipeline, count in settings.stream.shards.items()
        if pipeline not in settings.stream.shared
        for number in range(count)
    ]
    shared = [SHARED] if settings.stream.shared else []
    return [LIMITS, RELAY, *shards, *shared]


def build(name: str, settings: Settings) -> Actor:
    """Raises Misconfigured for a name that is nobody's."""
    if name == RELAY:
        return OutboxRelay(settings)
    if name == LIMITS:
        return LimitLedger()
    return Shard(settings, [_pipeline(p, settings) for p in hosted(name, settings)], member=name)


def hosted(name: str, settings: Settings) -> Sequence[str]:
    """The pipelines of a shard, by its name."""
    if name == SHARED:
        return settings.stream.shared
    pipeline, _, number = name.rpartition("-")
    if pipeline in settings.stream.shards and number.isdigit():
        return [pipeline]
    raise Misconfigured(f"no actor is called {name}")


def _pipeline(name: str, settings: Settings) -> Pipeline[Any, Any]:
    found: Pipeline[Any, Any] = import_module(_PIPELINE.format(name)).build(settings)
    return found
