"""What is told of a source: its lease, and whether the hub takes what it says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ecap import metrics
from ecap.config.layers.layer import Layer, Source
from ecap.config.secrets.vault.client import Lease, VaultSecrets
from ecap.config.secrets.vault.session import VaultSession
from ecap.config.settings.connections.vault import Vault
from ecap.config.sources.source import Reading, SourceHealth, feed
from ecap.errors import Invalid


def told(name: str) -> float | None:
    lines = metrics.exposition().decode().splitlines()
    found = [line.rsplit(" ", 1)[1] for line in lines if line.startswith(f"{name} ")]
    return float(found[0]) if found else None


def test_a_lease_tells_when_it_ends_and_how_long_it_was() -> None:
    health = SourceHealth("probe", wall=lambda: 1000.0)
    health.lease(0)
    assert health.shown()["lease_left_s"] is None
    assert told('ecap_config_lease_seconds{source="probe"}') is None
    health.lease(60, left_s=15)
    assert health.shown()["lease_left_s"] == 15
    assert told('ecap_config_lease_ends_timestamp_seconds{source="probe"}') == 1015
    assert told('ecap_config_lease_seconds{source="probe"}') == 60


async def test_a_log_in_tells_what_is_left_of_it() -> None:
    now = 0.0
    opened = VaultSecrets(None, mount="secret", lease=Lease(100, renewable=True))
    session = VaultSession(
        Vault(), clock=lambda: now, rng=random.Random(1), log_in=lambda _: opened
    )
    await session.call(lambda _: None)
    now = 30.0
    assert session.left_s == 70
    now = 130.0
    assert session.left_s == 0


class Changing:
    def __init__(self) -> None:
        self.health = SourceHealth("refused-probe", wall=lambda: 1.0)
        self.go_on = asyncio.Event()

    async def watch(self) -> AsyncIterator[Reading]:
        yield Reading("first")
        await self.go_on.wait()
        yield Reading("second")
        await asyncio.Event().wait()


class Taker:
    def __init__(self) -> None:
        self.taken: asyncio.Queue[str] = asyncio.Queue()

    async def offer(self, layers: Mapping[Source, Layer], *, reason: str) -> Any:
        self.taken.put_nowait(reason)
        if reason == "first":
            raise Invalid("not like this")


async def test_a_refused_source_is_told_until_it_is_taken() -> None:
    source, taker = Changing(), Taker()
    name = 'ecap_config_source_refused{source="refused-probe"}'
    feeding = asyncio.create_task(feed(taker, [source]), name="feed")
    assert await taker.taken.get() == "first"
    assert (source.health.refused, told(name)) == ("not like this", 1)
    source.go_on.set()
    assert await taker.taken.get() == "second"
    assert (source.health.refused, told(name)) == (None, 0)
    feeding.cancel()
    await asyncio.wait({feeding})
