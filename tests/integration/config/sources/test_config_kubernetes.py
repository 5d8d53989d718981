"""Labelled ConfigMaps and Secrets, live. Against the cluster of KUBECONFIG when that is set;
what needs a server to misbehave, against an emulated one."""

from __future__ import annotations

import asyncio
import datetime
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from integration.config.bao import Bao
from integration.config.kube_namespace import Kube
from integration.config.waiting import WITHIN_S, until
from joserfc import jwt
from joserfc.jwk import RSAKey

from ecap.config.layers.references import parse
from ecap.config.secrets.vault import login
from ecap.config.settings.connections.kubernetes import Kubernetes
from ecap.config.sources.kubernetes import KubernetesSource
from ecap.config.sources.kubernetes_api import open_api
from ecap.config.sources.source import Reading, SourceHealth
from ecap.errors import Misconfigured


class Follower:
    def __init__(self, source: KubernetesSource, readings: AsyncIterator[Reading]) -> None:
        self.source = source
        self._readings = readings

    async def until(self, wanted: dict[str, Any]) -> Reading:
        """Every reading in between is a true state too, but which ones come is timing."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                reading = await anext(self._readings)
                values = reading.layers["kubernetes"].values
                if {key: given.value for key, given in values.items()} == wanted:
                    return reading


@asynccontextmanager
async def following(kube: Kube) -> AsyncIterator[Follower]:
    async with open_api(kube.settings) as api:
        health = SourceHealth("kubernetes", wall=lambda: 1.0)
        source = KubernetesSource(api, kube.settings, health=health, rng=random.Random(1))
        async with aclosing(source.watch()) as readings:  # type: ignore[type-var]
            yield Follower(source, readings)


async def test_settings_in_objects_follow_them(kube: Kube) -> None:
    await kube.config_map("b", {"orders.max_lines": "7", "log.level": "DEBUG"})
    await kube.config_map("a", {"base.yaml": "orders: {max_lines: 3, currency: EUR}\n"})
    await kube.config_map("other", {"orders.currency": "XXX"}, labels={})
    async with following(kube) as follower:
        wanted: dict[str, Any] = {
            "orders.max_lines": "7",
            "log.level": "DEBUG",
            "orders.currency": "EUR",
        }
        reading = await follower.until(wanted)
        given = reading.layers["kubernetes"].values["orders.currency"]
        assert given.place == "configmap a/base.yaml:1"
        await kube.config_map("b", {"ECAP__HTTP__CORS__ORIGINS": "[http://a]"})
        await follower.until(
            {"orders.max_lines": 3, "orders.currency": "EUR", "http.cors.origins": ["http://a"]}
        )
        await kube.delete_config_map("a")
        await follower.until({"http.cors.origins": ["http://a"]})
        await kube.config_map("b", {"orders.max_lines": "1"}, labels={})
        await follower.until({})
        assert follower.source.health.reachable


async def test_secrets_are_values_and_references(kube: Kube) -> None:
    await kube.secret("db", {"ECAP__POSTGRES__PASSWORD": "vault:not#read", "password": "one"})
    await kube.secret("plain", {"key": "two"}, labels={})
    async with following(kube) as follower:
        reading = await follower.until({"postgres.password": "vault:not#read"})
        given = reading.layers["kubernetes"].values["postgres.password"]
        assert given.final
        assert "not#read" not in repr(given)
        read = follower.source.read
        assert await read(parse("k8s:db/password", where="x"), "x") == "one"
        assert await read(parse("k8s:plain/key", where="x"), "x") == "two"
        with pytest.raises(Misconfigured, match=r"^here: Kubernetes has no k8s:db/no"):
            await read(parse("k8s:db/no", where="x"), "here")
        await kube.secret("db", {"password": "three"})
        await follower.until({})
        assert await read(parse("k8s:db/password", where="x"), "x") == "three"


async def test_a_bad_config_map_keeps_the_last_good(kube: Kube) -> None:
    await kube.config_map("a", {"orders.max_lines": "1"})
    async with following(kube) as follower:
        await follower.until({"orders.max_lines": "1"})
        await kube.config_map("a", {"base.yaml": "orders: {a: 1, a: 2}"})
        await kube.config_map("b", {"orders.currency": "EUR"})
        await kube.config_map("a", {"orders.max_lines": "2"})
        await follower.until({"orders.max_lines": "2", "orders.currency": "EUR"})


async def test_a_long_list_comes_in_pages(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecap.config.sources.kubernetes_api._PAGE", 2)
    for number in range(5):
        await kube.config_map(f"m{number}", {f"flags.f{number}": "true"})
    async with following(kube) as follower:
        await follower.until({f"flags.f{number}": "true" for number in range(5)})


async def test_the_end_of_a_watch_is_not_noticed(kube: Kube) -> None:
    kube.settings = kube.settings.model_copy(update={"watch_timeout_s": 1})
    async with following(kube) as follower:
        await follower.until({})
        lists = kube.server.lists
        await until(lambda: len(kube.server.watches) >= 4)
        await kube.config_map("a", {"orders.max_lines": "1"})
        await follower.until({"orders.max_lines": "1"})
        assert kube.server.lists == lists  # went on from a bookmark
        assert kube.server.bookmarks > 0


async def test_an_expired_version_is_listed_again(kube: Kube) -> None:
    await kube.config_map("a", {"orders.max_lines": "1"})
    async with following(kube) as follower:
        await follower.until({"orders.max_lines": "1"})
        lists = kube.server.lists
        kube.server.compact()
        await kube.config_map("a", {"orders.max_lines": "2"})
        await follower.until({"orders.max_lines": "2"})
        assert kube.server.lists > lists


async def test_a_server_that_breaks_off_and_refuses_is_asked_again(kube: Kube) -> None:
    await kube.config_map("a", {"orders.max_lines": "1"})
    async with following(kube) as follower:
        await follower.until({"orders.max_lines": "1"})
        waiting = asyncio.create_task(follower.until({"orders.max_lines": "2"}))
        kube.server.faults.extend([500, 503, 401, 429])
        kube.server.cut()
        await until(lambda: not kube.server.faults)
        await kube.config_map("a", {"orders.max_lines": "2"})
        await waiting
        assert follower.source.health.last_error_at is not None
        assert follower.source.health.last_error is None


async def test_no_cluster_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"kubernetes\.kubeconfig"):
        async with open_api(Kubernetes()):
            pass


async def test_vault_lets_a_service_account_in(kube: Kube, bao: Bao) -> None:
    def prepare() -> None:
        if "kubernetes/" not in bao.root.sys.list_auth_methods()["data"]:
            bao.root.sys.enable_auth_method("kubernetes")
        bao.root.auth.kubernetes.configure(
            kubernetes_host=kube.server.address,
            token_reviewer_jwt="reviewer",
            kubernetes_ca_cert=_certificate(),  # wanted, though the address is plain HTTP
            disable_local_ca_jwt=True,
        )
        bao.root.auth.kubernetes.create_role(
            name="hub",
            bound_service_account_names=["hub"],
            bound_service_account_namespaces=["ecap"],
            policies=["app"],
            ttl="1h",
        )

    await asyncio.to_thread(prepare)
    claims = {
        "iss": "kubernetes/serviceaccount",
        "exp": 4_000_000_000,
        "iat": 1_700_000_000,
        "nbf": 1_700_000_000,
        "kubernetes.io": {"namespace": "ecap", "serviceaccount": {"name": "hub", "uid": "1"}},
    }
    token = jwt.encode({"alg": "RS256"}, claims, RSAKey.generate_key(2048))
    kube.server.users[token] = {
        "username": "system:serviceaccount:ecap:hub",
        "uid": "1",
        "groups": ["system:serviceaccounts"],
    }
    settings = bao.settings(auth="kubernetes", role="hub", jwt_file=bao.secret_file("sa", token))
    secrets = await asyncio.to_thread(login.log_in, settings)
    assert secrets.lease.duration_s > 0


def _certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=now,
        not_valid_after=now + datetime.timedelta(days=1),
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
