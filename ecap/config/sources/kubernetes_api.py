"""ConfigMaps and Secrets through the Kubernetes API: list, watch, read.

The only module that imports kubernetes.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
from kubernetes.aio import client, config, watch

from ecap.config.settings.connections.kubernetes import Kubernetes
from ecap.errors import Misconfigured, Unavailable

Kind = Literal["configmaps", "secrets"]
_PAGE = 500


class Gone(Exception):
    """The version to go on from is no longer kept: list again."""


@dataclass(frozen=True, slots=True)
class Item:
    """One ConfigMap or Secret; values are text."""

    kind: Kind
    name: str
    version: str
    values: Mapping[str, str] = field(repr=False)
    deleted: bool = False
    binary: frozenset[str] = frozenset()
    """Keys of what is no text, as a key store: an error where a setting or reference means it."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    version: str


class KubernetesApi:
    def __init__(self, api: client.CoreV1Api, settings: Kubernetes) -> None:
        self._api = api
        self._settings = settings

    async def list(self, kind: Kind) -> tuple[dict[str, Item], str]:
        """By name, and the version to watch from. Raises Gone, Unavailable, Misconfigured."""
        items: dict[str, Item] = {}
        more: str | None = None
        while True:
            with _translated(f"list {kind}"):
                answer = await _body(
                    await self._raw_lister(kind)(
                        self._settings.namespace,
                        label_selector=self._settings.label_selector,
                        limit=_PAGE,
                        _continue=more,
                    )
                )
            for found in answer["items"]:
                item = _item(kind, found)
                items[item.name] = item
            more = answer["metadata"].get("continue")
            if not more:
                return items, str(answer["metadata"]["resourceVersion"])

    async def follow(self, kind: Kind, version: str) -> AsyncIterator[Item | Bookmark]:
        """Changes after `version`; ends when the server ends the watch.

        Raises Gone, Unavailable, Misconfigured.
        """
        stream = watch.Watch(return_type="object").stream(  # type: ignore[no-untyped-call]
            self._lister(kind),
            self._settings.namespace,
            label_selector=self._settings.label_selector,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=self._settings.watch_timeout_s,
            _request_timeout=self._settings.watch_timeout_s + 30,
        )
        with _translated(f"watch {kind}"):
            async with stream:
                async for event in stream:
                    if not isinstance(event, dict):
                        raise Unavailable(f"Kubernetes: a watch of {kind} was cut off")
                    found = event["raw_object"]
                    if event["type"] == "BOOKMARK":
                        yield Bookmark(str(found["metadata"]["resourceVersion"]))
                    else:
                        yield _item(kind, found, deleted=event["type"] == "DELETED")

    async def secret(self, name: str) -> Item | None:
        with _translated(f"read the Secret {name}"):
            try:
                response = await self._api.read_namespaced_secret_without_preload_content(
                    name, self._settings.namespace
                )
                return _item("secrets", await _body(response))
            except client.ApiException as exc:
                if exc.status == 404:
                    return None
                raise

    def _lister(self, kind: Kind) -> Any:
        if kind == "configmaps":
            return self._api.list_namespaced_config_map
        return self._api.list_namespaced_secret

    def _raw_lister(self, kind: Kind) -> Any:
        """JSON: the typed models cost ten times the parsing."""
        if kind == "configmaps":
            return self._api.list_namespaced_config_map_without_preload_content
        return self._api.list_namespaced_secret_without_preload_content


@asynccontextmanager
async def open_api(settings: Kubernetes) -> AsyncIterator[KubernetesApi]:
    """Raises Misconfigured when there is no way in."""
    async with client.ApiClient(await configured(settings)) as api:
        yield KubernetesApi(client.CoreV1Api(api), settings)


async def configured(settings: Kubernetes) -> client.Configuration:
    """By kubeconfig when one is set, otherwise as the pod's service account.

    Raises Misconfigured when there is neither.
    """
    configuration = client.Configuration()
    try:
        if settings.kubeconfig is not None:
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(settings.kubeconfig),
                context=settings.context,
                client_configuration=configuration,
                persist_config=False,
            )
        else:
            config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
    except config.ConfigException as exc:
        raise Misconfigured(
            f"kubernetes: {exc}; run in a pod with a service account, or set kubernetes.kubeconfig"
        ) from exc
    return configuration


async def _body(response: Any) -> Any:
    text = await response.read()
    if response.status >= 400:
        raise client.ApiException(status=response.status, reason=response.reason)
    return json.loads(text)


def _item(kind: Kind, found: Mapping[str, Any], *, deleted: bool = False) -> Item:
    data: Mapping[str, str] = found.get("data") or {}
    name = str(found["metadata"]["name"])
    texts = dict(data) if kind == "configmaps" else {k: _text(v) for k, v in data.items()}
    binary = {key for key, text in texts.items() if text is None}
    return Item(
        kind,
        name,
        str(found["metadata"]["resourceVersion"]),
        {key: text for key, text in texts.items() if text is not None},
        deleted,
        frozenset(binary | (found.get("binaryData") or {}).keys()),
    )


def _text(encoded: str) -> str | None:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except client.ApiException as exc:
        if exc.status == 410:
            raise Gone from exc
        if exc.status in (401, 403):
            raise Misconfigured(
                f"Kubernetes refuses to {what} ({exc.status}): the service account needs"
                " get, list and watch on ConfigMaps and Secrets"
            ) from exc
        raise Unavailable(f"Kubernetes: cannot {what} ({exc.status})") from exc
    except (aiohttp.ClientError, OSError, TimeoutError, json.JSONDecodeError) as exc:
        raise Unavailable(f"Kubernetes: cannot {what} ({type(exc).__name__})") from exc
