"""Kubernetes as a live source: labelled ConfigMaps and Secrets, listed once and then watched.

Keys of a ConfigMap are settings (`orders.currency`, `ECAP__ORDERS__CURRENCY`), or YAML
documents when they end in `.yaml`. Keys of a Secret count as settings when they are
written `ECAP__...` or name one; the others serve references (`k8s:name/key`). A
Secret hides a ConfigMap, a later name an earlier one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping

from ecap.config.layers import environment, schema, yaml_text
from ecap.config.layers.layer import Given, Layer, combined, refuse_two_shapes
from ecap.config.layers.references import Reference
from ecap.config.settings.connections.kubernetes import Kubernetes
from ecap.config.sources.kubernetes_api import Bookmark, Gone, Item, Kind, KubernetesApi
from ecap.config.sources.source import Reading, SourceHealth
from ecap.errors import EcapError, Misconfigured, Unavailable
from ecap.tasks import end


class KubernetesSource:
    def __init__(
        self, api: KubernetesApi, settings: Kubernetes, *, health: SourceHealth, rng: random.Random
    ) -> None:
        self.health = health
        self._api = api
        self._settings = settings
        self._rng = rng
        self._items: dict[Kind, dict[str, Item]] = {}
        self._news = asyncio.Event()

    async def watch(self) -> AsyncIterator[Reading]:
        kinds: tuple[Kind, ...] = ("configmaps", "secrets")
        last: tuple[Layer, Mapping[str, Item]] | None = None
        tasks = [
            asyncio.create_task(self._follow(kind), name=f"config-kubernetes-{kind}")
            for kind in kinds
        ]
        try:
            while True:
                await self._wait(tasks)
                if len(self._items) < len(kinds):
                    continue  # half of it would take settings away
                try:
                    layer = self._layer()
                except Misconfigured as exc:
                    self.health.failed(exc, reachable=True)
                    continue
                # A copy, because the watch changes the dictionary in place. Compared beside the
                # layer, because a secret that only a reference names is in no layer.
                secrets = dict(self._items["secrets"])
                if last != (layer, secrets):
                    last = (layer, secrets)
                    self.health.changed()
                    yield Reading("Kubernetes objects", {"kubernetes": layer})
        finally:
            await end(*tasks)

    async def read(self, reference: Reference, where: str) -> str:
        """A reader for `SecretReaders`. A Secret without the label is read, but not watched."""
        item = self._items.get("secrets", {}).get(reference.target)
        if item is None:
            item = await self._api.secret(reference.target)
        if item is not None and reference.item in item.binary:
            raise Misconfigured(f"{where}: {reference.name} is not UTF-8 text")
        if item is None or reference.item not in item.values:
            raise Misconfigured(
                f"{where}: Kubernetes has no {reference.name} in the namespace"
                f" {self._settings.namespace}; create the Secret with that key"
            )
        return item.values[reference.item]

    async def _wait(self, tasks: list[asyncio.Task[None]]) -> None:
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait({news, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        # Before the objects are read, with no await in between: what comes later sets it again.
        self._news.clear()
        for task in tasks:
            if task.done():
                task.result()  # they end only by a fault

    async def _follow(self, kind: Kind) -> None:
        wait_s = self._settings.backoff_s
        while True:
            try:
                # Listed anew after each trouble: what was deleted while nobody watched is told by
                # no watch.
                self._items[kind], version = await self._api.list(kind)
                self._heard()
                wait_s = self._settings.backoff_s
                while True:
                    version = await self._changes(kind, version)
            except Gone:
                continue
            except (Unavailable, Misconfigured) as exc:
                self._failed(exc)
            await asyncio.sleep(wait_s * (0.5 + self._rng.random()))
            wait_s = min(2 * wait_s, self._settings.backoff_max_s)

    async def _changes(self, kind: Kind, version: str) -> str:
        """Of one watch; the version the next one goes on from."""
        async for change in self._api.follow(kind, version):
            version = change.version
            if isinstance(change, Bookmark):
                continue
            if change.deleted:
                self._items[kind].pop(change.name, None)
            else:
                self._items[kind][change.name] = change
            self._heard()
        return version

    def _heard(self) -> None:
        self.health.ok()
        self._news.set()

    def _failed(self, error: EcapError) -> None:
        if self.health.last_error != error.detail:
            self.health.failed(error)

    def _layer(self) -> Layer:
        found = [
            as_layer(item)
            for kind in ("configmaps", "secrets")
            for _, item in sorted(self._items[kind].items())
        ]
        return combined(Layer("kubernetes", {}), *found)


def as_layer(item: Item) -> Layer:
    """Raises Misconfigured naming the object and key."""
    values: dict[str, Given] = {}
    for part in _parts(item):
        values.update(part)
    refuse_two_shapes(values)
    return Layer("kubernetes", values)


def _parts(item: Item) -> Iterator[Mapping[str, Given]]:
    secret = item.kind == "secrets"
    for name in sorted(item.binary):
        if not secret or name.startswith(environment.PREFIX) or schema.known(name):
            raise Misconfigured(f"{item.kind[:-1]} {item.name}/{name}: not UTF-8 text")
    for name, text in sorted(item.values.items()):
        place = f"{'secret' if secret else 'configmap'} {item.name}/{name}"
        if name.endswith((".yaml", ".yml")) and not secret:
            parsed = yaml_text.parse(text, "kubernetes", place=place).values
            yield {key: _given(given.value, given.place, item) for key, given in parsed.items()}
            continue
        prefixed = name.startswith(environment.PREFIX)
        key = environment.key_of(name) if prefixed else name
        if secret and not prefixed and schema.known(key) is None:
            continue
        yield {
            leaf: _given(value, place, item)
            for leaf, value in environment.leaves(place, key, text).items()
        }


def _given(value: object, place: str, item: Item) -> Given:
    secret = item.kind == "secrets"
    return Given(value, place, expands=not secret, final=secret, version=item.version)
