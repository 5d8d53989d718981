"""The hub's actor with Kubernetes as a source: what its members run follows a namespace.
Against the cluster of KUBECONFIG when that is set; else an emulated one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from integration.config.hub.hub_actor import change, member, started, well
from integration.config.kube_namespace import Kube
from integration.config.waiting import until

from ecap.actors.hub import ConfigHub
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.config.member.member import Member
from ecap.config.secrets.keyring.stores import FileKeyring
from ecap.errors import Conflict

KEY = "orders.max_lines"


@pytest.fixture
def in_cluster(
    hub_environ: dict[str, str], ring: FileKeyring, empty: Pool, kube: Kube
) -> dict[str, str]:
    section = kube.settings
    return {
        **hub_environ,
        "ECAP__KUBERNETES__ENABLED": "true",
        "ECAP__KUBERNETES__KUBECONFIG": str(section.kubeconfig),
        "ECAP__KUBERNETES__NAMESPACE": section.namespace,
        "ECAP__KUBERNETES__WATCH_TIMEOUT_S": "2",
        "ECAP__KUBERNETES__BACKOFF_S": "0.01",
        "ECAP__KUBERNETES__BACKOFF_MAX_S": "0.05",
    }


@pytest.fixture
async def hub(in_cluster: dict[str, str], kube: Kube) -> AsyncIterator[ConfigHub]:
    await kube.config_map("shop", {KEY: "7"})
    async with started(in_cluster) as running:
        await well(running)
        yield running


@pytest.fixture
async def one(hub: ConfigHub, settings: Settings) -> AsyncIterator[Member]:
    async with member(hub, settings) as joined:
        yield joined


async def explained(hub: ConfigHub, key: str) -> dict[str, Any]:
    found: dict[str, Any] = (await hub.handle("setting", key, {}))["setting"]
    return found


async def test_config_maps_reach_members_and_fall_back(
    hub: ConfigHub, one: Member, kube: Kube, settings: Settings
) -> None:
    assert one.settings.orders.max_lines == 7
    assert (await explained(hub, KEY))["source"] == "kubernetes"
    await kube.config_map("shop", {KEY: "8", "fraud.deny_score": "90"})
    await until(lambda: one.settings.fraud.deny_score == 90)
    assert one.settings.orders.max_lines == 8
    await hub.handle("change", change(9), {})
    assert one.settings.orders.max_lines == 9
    assert (await explained(hub, KEY))["hides"][0]["source"] == "kubernetes"
    await kube.delete_config_map("shop")
    await until(lambda: one.settings.fraud.deny_score == settings.fraud.deny_score)
    assert one.settings.orders.max_lines == 9


async def test_a_secret_is_read_by_reference_and_again_when_it_changes(
    hub: ConfigHub, one: Member, kube: Kube
) -> None:
    def password() -> str | None:
        found = one.settings.smtp.password
        return None if found is None else found.get_secret_value()

    await kube.secret("mail", {"password": "canary-one"}, labels={"ecap.io/config": "true"})
    await kube.config_map("mail", {"smtp.password": "k8s:mail/password"})
    await until(lambda: password() == "canary-one")
    await kube.secret("mail", {"password": "canary-two"}, labels={"ecap.io/config": "true"})
    await until(lambda: password() == "canary-two")
    page = await hub.handle("history", {"limit": 50, "before": None}, {})
    assert "canary" not in repr(page)


async def test_a_bad_config_map_is_refused_and_said(
    hub: ConfigHub, one: Member, kube: Kube
) -> None:
    await kube.config_map("shop", {KEY: "none"})
    await until(lambda: KEY in hub.health()["sources"]["kubernetes"])
    assert one.settings.orders.max_lines == 7
    await kube.config_map("shop", {KEY: "8"})
    await until(lambda: one.settings.orders.max_lines == 8)
    await until(lambda: hub.health()["sources"]["kubernetes"] == "ok")


async def test_what_only_a_restart_changes_is_taken_by_the_next_start(
    hub: ConfigHub, one: Member, kube: Kube, in_cluster: dict[str, str]
) -> None:
    await kube.config_map("shop", {KEY: "7", "stream.shards.fraud": "3"})
    await until(lambda: "stream.shards.fraud" in hub.health()["sources"]["kubernetes"])
    with pytest.raises(Conflict):
        await hub.handle("change", change(3, key="stream.shards.fraud"), {})
    await hub.stop()
    async with started(in_cluster, boot="two") as fresh:
        await well(fresh)
        assert (await explained(fresh, "stream.shards.fraud"))["value"] == 3


async def test_changes_go_on_while_the_api_server_is_away(
    hub: ConfigHub, one: Member, kube: Kube
) -> None:
    kube.server.faults.extend([503] * 1000)
    kube.server.cut()
    await until(lambda: hub.health()["sources"]["kubernetes"] != "ok")
    assert hub.health()["ok"]
    await hub.handle("change", change(6), {})
    assert one.settings.orders.max_lines == 6
    kube.server.faults.clear()
    await kube.config_map("shop", {"fraud.deny_score": "91"})
    await until(lambda: one.settings.fraud.deny_score == 91)
    await until(lambda: hub.health()["sources"]["kubernetes"] == "ok")
