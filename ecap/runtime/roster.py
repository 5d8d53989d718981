"""What runs under which name: the plain actors of this installation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ecap.actors.hub_link import CONFIG
from ecap.actors.limits.ledger import LIMITS, LimitLedger
from ecap.actors.relay.relay import OutboxRelay
from ecap.actors.stream.pipeline import Pipeline
from ecap.actors.stream.shard import Shard, Workers
from ecap.config.settings.tree import Settings
from ecap.errors import Misconfigured
from ecap.pipelines.stream.analytics import pipeline as analytics
from ecap.pipelines.stream.audit import pipeline as audit
from ecap.pipelines.stream.availability import pipeline as availability
from ecap.pipelines.stream.fraud import pipeline as fraud
from ecap.pipelines.stream.inventory import pipeline as inventory
from ecap.pipelines.stream.notifications import pipeline as notifications
from ecap.pipelines.stream.users import pipeline as users

# In the environment of the actors' processes.
BOOT_ID = "ECAP_BOOT_ID"
IGNORE_OVERRIDES = "ECAP_IGNORE_OVERRIDES"
"""Anything: a hub that finds a new boot id leaves operators' overrides behind."""
RELAY = "relay"
SHARED = "streams-0"

# `build(settings)` answers the pipeline; `workers(settings, pool)`, where there is one, what
# has to run beside it.
_BUILDERS: Mapping[str, Callable[[Settings], Pipeline[Any, Any]]] = {
    "fraud": fraud.build,
    "analytics": analytics.build,
    "notifications": notifications.build,
    "users": users.build,
    "inventory": inventory.build,
    "availability": availability.build,
    "audit": audit.build,
}
_WORKERS: Mapping[str, Workers] = {
    "notifications": notifications.workers,
    "audit": audit.workers,
}


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
        from ecap.actors.hub import ConfigHub

        return ConfigHub(
            environ,
            boot_id=environ[BOOT_ID],
            ignore_overrides=bool(environ.get(IGNORE_OVERRIDES)),
        )
    if name == RELAY:
        return OutboxRelay(settings)
    if name == LIMITS:
        return LimitLedger()
    pipelines = hosted(name, settings)
    return Shard(
        settings,
        [_BUILDERS[pipeline](settings) for pipeline in pipelines],
        member=name,
        workers=[_WORKERS[pipeline] for pipeline in pipelines if pipeline in _WORKERS],
    )


def hosted(name: str, settings: Settings) -> Sequence[str]:
    """The pipelines of a shard, by its name."""
    if name == SHARED:
        return settings.stream.shared
    pipeline, _, number = name.rpartition("-")
    if pipeline in settings.stream.shards and number.isdigit():
        return [pipeline]
    raise Misconfigured(f"no actor is called {name}")
