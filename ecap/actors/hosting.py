"""What runs under which name: the plain actors of this installation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from ecap.actors.hub_link import CONFIG
from ecap.actors.limits import LIMITS, LimitLedger
from ecap.actors.relay import OutboxRelay
from ecap.actors.shard import Shard
from ecap.config.settings.tree import Settings
from ecap.errors import Misconfigured

# In the environment of the actors' processes.
BOOT_ID = "ECAP_BOOT_ID"
RELAY = "relay"
SHARED = "streams-0"

# By name, because pipelines are above this layer. `build(settings)` answers the pipeline,
# `workers(settings, pool)`, where there is one, what has to run beside it.
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
    return [CONFIG, LIMITS, RELAY, *shards, *shared]


def build(name: str, settings: Settings, environ: Mapping[str, str]) -> Actor:
    """Raises Misconfigured for a name that is nobody's."""
    if name == CONFIG:
        # Late: it alone speaks to Kubernetes and keeps a session at Vault.
        hub = import_module("ecap.actors.config_hub").ConfigHub
        actor: Actor = hub(environ, boot_id=environ[BOOT_ID])
        return actor
    if name == RELAY:
        return OutboxRelay(settings)
    if name == LIMITS:
        return LimitLedger()
    modules = [import_module(_PIPELINE.format(p)) for p in hosted(name, settings)]
    return Shard(
        settings,
        [module.build(settings) for module in modules],
        member=name,
        workers=[module.workers for module in modules if hasattr(module, "workers")],
    )


def hosted(name: str, settings: Settings) -> Sequence[str]:
    """The pipelines of a shard, by its name."""
    if name == SHARED:
        return settings.stream.shared
    pipeline, _, number = name.rpartition("-")
    if pipeline in settings.stream.shards and number.isdigit():
        return [pipeline]
    raise Misconfigured(f"no actor is called {name}")
