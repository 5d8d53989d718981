"""Live sources of layers, their health, and the task that offers what they say to the hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ecap import logs, metrics
from ecap.config.layers.layer import Layer, Source
from ecap.errors import EcapError, Retryable

_log = logs.get("ecap.config")
_RETRY_S = 0.5
_RETRY_MAX_S = 30.0


@dataclass(frozen=True)
class Reading:
    """What a source says now. No layers: a secret behind a reference has changed."""

    reason: str
    layers: Mapping[Source, Layer] = field(default_factory=dict)


@dataclass
class SourceHealth:
    name: str
    wall: Callable[[], float] = field(repr=False)
    reachable: bool = False
    last_change: float | None = None
    """Unix time."""
    last_error: str | None = None
    last_error_at: float | None = None
    lease_ends_at: float | None = None
    refused: str | None = None
    """Why the hub did not take what the source says now; the version before runs."""

    def ok(self) -> None:
        self.reachable = True
        self.last_error = None
        metrics.config_source_up.labels(self.name).set(1)

    def changed(self) -> None:
        self.ok()
        self.last_change = self.wall()
        metrics.config_source_changed.labels(self.name).set(self.last_change)

    def failed(self, error: EcapError, *, reachable: bool = False) -> None:
        self.reachable = reachable
        self.last_error = error.detail
        self.last_error_at = self.wall()
        metrics.config_source_up.labels(self.name).set(int(reachable))
        metrics.config_source_errors.labels(self.name).inc()
        _log.warning("configuration source", extra={"source": self.name, "why": error.detail})

    def lease(self, duration_s: float, *, left_s: float | None = None) -> None:
        """0: it does not end. `left_s`: when it was not leased or renewed just now."""
        if not duration_s:
            self.lease_ends_at = None
            return
        self.lease_ends_at = self.wall() + (duration_s if left_s is None else left_s)
        metrics.config_lease_ends.labels(self.name).set(self.lease_ends_at)
        metrics.config_lease_seconds.labels(self.name).set(duration_s)

    def refuse(self, why: str | None) -> None:
        """None: the hub has taken it."""
        self.refused = why
        metrics.config_source_refused.labels(self.name).set(int(why is not None))

    def shown(self) -> dict[str, Any]:
        left = None if self.lease_ends_at is None else max(0.0, self.lease_ends_at - self.wall())
        return {
            "source": self.name,
            "reachable": self.reachable,
            "last_change": self.last_change,
            "last_error": self.last_error,
            "last_error_at": self.last_error_at,
            "lease_left_s": left,
            "refused": self.refused,
        }


class LiveSource(Protocol):
    health: SourceHealth

    def watch(self) -> AsyncIterator[Reading]:
        """What it says now, then again at each change, for ever. Failures go to `health`
        and are tried again; what cannot be read is not yielded."""
        ...


class Taker(Protocol):
    async def offer(self, layers: Mapping[Source, Layer], *, reason: str) -> Any:
        """Raises what refuses it."""
        ...


async def feed(hub: Taker, sources: Sequence[LiveSource]) -> None:
    """Until cancelled; one task a source."""
    async with asyncio.TaskGroup() as group:
        for source in sources:
            group.create_task(_feed(hub, source), name=f"config-{source.health.name}")


async def _feed(hub: Taker, source: LiveSource) -> None:
    async for reading in source.watch():
        await _offer(hub, source.health, reading)


async def _offer(hub: Taker, health: SourceHealth, reading: Reading) -> None:
    wait_s = _RETRY_S
    while True:
        try:
            await hub.offer(reading.layers, reason=reading.reason)
        except Retryable as exc:
            # Nothing is wrong with what it says; the hub or a store is away. The source is not read
            # on meanwhile, so what it says then is offered after this.
            health.refuse(exc.detail)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _RETRY_MAX_S)
            continue
        except EcapError as exc:
            health.refuse(exc.detail)
            _log.error("configuration refused", extra={"source": health.name, "why": exc.detail})
        else:
            health.refuse(None)
        return


class EnvironmentSource:
    """A process's environment never changes; this is here to be seen beside the others."""

    def __init__(self, layer: Layer, *, health: SourceHealth) -> None:
        self.health = health
        self._layer = layer

    async def watch(self) -> AsyncIterator[Reading]:
        self.health.changed()
        yield Reading("environment read", {"environment": self._layer})
        await asyncio.Event().wait()
