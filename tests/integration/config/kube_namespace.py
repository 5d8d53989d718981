"""A namespace of a Kubernetes API server: the cluster of KUBECONFIG, or an emulated one."""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from integration.config.kube_server import KubeServer, open_kube_server
from kubernetes.aio import client, config

from ecap.config.settings.connections.kubernetes import Kubernetes

LABEL = {"ecap.io/config": "true"}


class Kube:
    """A namespace, an administrator in it, and the server when it is the emulated one."""

    def __init__(self, kubeconfig: Path, namespace: str, admin: Any, server: KubeServer | None):
        self.settings = Kubernetes(
            enabled=True,
            kubeconfig=kubeconfig,
            namespace=namespace,
            watch_timeout_s=2,
            backoff_s=0.01,
            backoff_max_s=0.05,
        )
        self.admin = admin
        self._server = server
        self._namespace = namespace

    @property
    def server(self) -> KubeServer:
        if self._server is None:
            pytest.skip("a real cluster does not misbehave on demand")
        return self._server

    async def config_map(
        self, name: str, data: Mapping[str, str], *, labels: Mapping[str, str] = LABEL
    ) -> None:
        body = {"metadata": {"name": name, "labels": labels}, "data": data}
        with suppress(client.ApiException):
            await self.admin.create_namespaced_config_map(self._namespace, body)
            return
        await self.admin.replace_namespaced_config_map(name, self._namespace, body)

    async def secret(
        self, name: str, data: Mapping[str, str], *, labels: Mapping[str, str] = LABEL
    ) -> None:
        encoded = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
        body = {"metadata": {"name": name, "labels": labels}, "data": encoded}
        with suppress(client.ApiException):
            await self.admin.create_namespaced_secret(self._namespace, body)
            return
        await self.admin.replace_namespaced_secret(name, self._namespace, body)

    async def delete_config_map(self, name: str) -> None:
        await self.admin.delete_namespaced_config_map(name, self._namespace)


def _kubeconfig(address: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }


@asynccontextmanager
async def _admin(kubeconfig: Path) -> AsyncIterator[Any]:
    configuration = client.Configuration()
    await config.load_kube_config(  # type: ignore[no-untyped-call]
        str(kubeconfig), client_configuration=configuration
    )
    async with client.ApiClient(configuration) as api:
        yield client.CoreV1Api(api)


@asynccontextmanager
async def open_namespace(folder: Path) -> AsyncIterator[Kube]:
    """`folder` is for the emulated server's kubeconfig."""
    named = os.environ.get("KUBECONFIG")
    namespace = f"ecap-test-{uuid.uuid4().hex[:8]}"
    if named:
        async with _admin(Path(named)) as admin:
            await admin.create_namespace({"metadata": {"name": namespace}})
            try:
                yield Kube(Path(named), namespace, admin, None)
            finally:
                await admin.delete_namespace(namespace)
        return
    async with open_kube_server() as server:
        path = folder / "kubeconfig"
        path.write_text(json.dumps(_kubeconfig(server.address)))
        async with _admin(path) as admin:
            yield Kube(path, namespace, admin, server)
