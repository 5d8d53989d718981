"""A secret in the wrong place is refused, and nowhere to be found afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from unit.config.hub.cluster import Cluster
from virtual_time import run

from ecap.config.hub.desk import Desk
from ecap.config.hub.requests import Change
from ecap.config.layers import schema
from ecap.config.layers.overrides import Edit
from ecap.config.layers.pasted import looks_secret
from ecap.errors import EcapError

PASTED = [
    "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl",
    "gAAAAABmcanary0123456789012345678901234567890123456789==",
    "hvs.CAESIcanary0123456789abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_canary0123456789abcdefghij",
    "sk_live_canary0123456789",
    "postgres://ecap:canary-1234@db.example/ecap",
    "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEcanary",
    "q7Zt0Vx3LwB9sKfR2mNdYc8HpTjG4aQe",
]


@pytest.mark.parametrize("value", PASTED)
@pytest.mark.parametrize("key", ["smtp.username", "smtp.password", "http.cors.origins", "no.such"])
def test_a_pasted_secret_is_refused_and_absent(key: str, value: str) -> None:
    async def main() -> None:
        cluster = Cluster()
        try:
            hub = await cluster.start_hub()
            await hub.started()
            desk = Desk(hub, cluster.history)
            given: Any = [value] if key.endswith("origins") else value
            change = Change(edit=Edit({key: given}), author="ann", reason="oops", sections=("",))
            with pytest.raises(EcapError) as caught:
                await desk.change(change)
            told = [await desk.validate(change.edit), await desk.history(before=None, limit=50)]
            kept = [await cluster.entries(), vars(caught.value), told]
            assert value not in repr(kept)
            assert repr(value)[1:-1] not in repr(kept)
        finally:
            await cluster.stop()

    run(main())


@pytest.mark.parametrize("value", ["vault:canary", "k8s:canary", "vault:a b c canary"])
def test_what_only_begins_like_a_reference_is_absent(value: str) -> None:
    async def main() -> None:
        cluster = Cluster()
        try:
            hub = await cluster.start_hub()
            await hub.started()
            for key in ("smtp.password", "smtp.host", "webhook.url"):
                with pytest.raises(EcapError):
                    await hub.edit(Edit({key: value}), author="ann", reason="oops")
            assert "canary" not in repr(await cluster.entries())
        finally:
            await cluster.stop()

    run(main())


def test_what_is_set_every_day_does_not_look_like_one() -> None:
    for setting in schema.settings().values():
        assert not looks_secret(setting.default), setting.key
    for value in (
        "b-1.ecapprod.a1b2c3.c4.kafka.eu-central-1.amazonaws.com:9098",
        "https://collector.observability.svc.cluster.local:4318/v1/traces",
        "https://hooks.example.com/services/shop/orders?version=2",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "orders-notifications@shop.example.com",
        "ecap.c9akciq32.eu-central-1.rds.amazonaws.com",
        "3f2b8c1e-6a0d-4a47-9d1a-0c2a5f1f2d3e",
        "2001:db8:85a3::8a2e:370:7334/128",
        "25%",
    ):
        assert not looks_secret(value), value
