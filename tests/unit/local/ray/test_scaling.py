"""Who deployed the services deploys again what has other bounds, and only that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from integration.live_members import BARE, Feed, changed

from ecap.config.settings.services.deployments import ServiceName, Services
from ecap.config.settings.tree import Settings
from ecap.errors import Misconfigured, Unavailable
from ecap.local.ray.scaling import _check, scaling

SERVICES: tuple[ServiceName, ...] = ("orders", "catalog")


class Serve:
    def __init__(self) -> None:
        self.deployed: list[tuple[list[str], int]] = []
        self.away = False

    def deploy(self, names: Sequence[str], settings: Settings) -> None:
        if self.away:
            raise Unavailable("no controller")
        self.deployed.append((list(names), settings.services.orders.max_replicas))


async def test_what_changed_is_deployed_again() -> None:
    feed, serve = Feed(), Serve()
    async with scaling(BARE, SERVICES, deploy=serve.deploy, link=feed):
        await feed.heard("deployer")
        more = changed(BARE, {"services.orders.max_replicas": 7, "orders.max_lines": 3})
        await feed.tell(more)
        await feed.tell(changed(more, {"orders.max_lines": 4}))
        await feed.tell(changed(more, {"services.users.max_replicas": 9}))  # not deployed here
        assert serve.deployed == [(["orders"], 7)]
        await feed.tell(BARE)
    assert serve.deployed[-1] == (["orders"], BARE.services.orders.max_replicas)


async def test_a_serve_that_is_away_refuses_and_nothing_is_forgotten() -> None:
    feed, serve = Feed(), Serve()
    async with scaling(BARE, SERVICES, deploy=serve.deploy, link=feed):
        await feed.heard("deployer")
        serve.away = True
        more = changed(BARE, {"services.orders.max_replicas": 7})
        await feed.tell(more)
        assert "no controller" in feed.refusals["deployer"]
        serve.away = False
        await feed.tell(changed(more, {"services.catalog.max_replicas": 8}))
    assert serve.deployed == [(["orders", "catalog"], 7)]


def test_bounds_that_contradict_are_named() -> None:
    with pytest.raises(Misconfigured, match=r"services\.users\.min_replicas \(9\) is above"):
        _check(Services.model_validate({"users": {"min_replicas": 9, "max_replicas": 2}}))
