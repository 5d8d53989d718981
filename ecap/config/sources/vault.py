"""Vault as a live source: a secret whose keys are settings, and every secret that a
reference names.

Changes are found by asking for versions (KV metadata): OpenBao sends no events, and
an answer costs a millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from ecap.config.layers.layer import Layer, Source
from ecap.config.layers.references import Reference
from ecap.config.secrets.vault import kv
from ecap.config.secrets.vault.client import Secret
from ecap.config.secrets.vault.session import VaultSession
from ecap.config.settings.connections.vault import Vault
from ecap.config.sources.source import Reading, SourceHealth
from ecap.errors import EcapError, Misconfigured, Refused, Retryable

_BACKOFF_MAX_S = 10.0


class VaultSource:
    def __init__(self, settings: Vault, session: VaultSession, *, health: SourceHealth) -> None:
        self.health = health
        self._settings = settings
        self._session = session
        self._known: dict[str, tuple[str, Secret | None]] = {}

    async def read(self, reference: Reference, where: str) -> str:
        """A reader for `SecretReaders`: what it read once is watched from then on.

        What is known stays known while Vault is away.
        """
        path = reference.target
        if path not in self._known:
            await self._look(path)
        secret = self._known[path][1]
        if secret is None or reference.item not in secret.values:
            raise Misconfigured(
                f"{where}: Vault has no key {reference.item!r} at {path!r};"
                f" store it with `ecap secrets put {path} {reference.item}`"
            )
        return secret.values[reference.item]

    async def watch(self) -> AsyncIterator[Reading]:
        wait_s = self._settings.poll_s
        first = True
        while True:
            try:
                await self._session.keep_alive()
                changed = await self._changed()
            except (Retryable, Refused, Misconfigured) as exc:
                self._failed(exc)
                wait_s = min(2 * wait_s, max(_BACKOFF_MAX_S, self._settings.poll_s))
            else:
                wait_s = self._settings.poll_s
                self.health.ok()
                session = self._session
                self.health.lease(session.lease.duration_s, left_s=session.left_s)
                if changed or first:
                    first = False
                    self.health.changed()
                    yield Reading(_reason(changed), self._layers())
            await asyncio.sleep(wait_s)

    def _failed(self, error: EcapError) -> None:
        if self.health.last_error != error.detail:
            self.health.failed(error)

    async def _changed(self) -> list[str]:
        watched = set(self._known)
        if self._settings.config_path is not None:
            watched.add(self._settings.config_path)
        return [path for path in sorted(watched) if await self._look(path)]

    async def _look(self, path: str) -> bool:
        """Whether the secret is another than before."""
        before = self._known.get(path)
        state = await self._session.call(lambda secrets: secrets.state(path))
        if before is not None and before[0] == state:
            return False
        secret = await self._session.call(lambda secrets: secrets.secret(path))
        self._known[path] = (state, secret)
        return before is None or before[1] != secret

    def _layers(self) -> Mapping[Source, Layer]:
        path = self._settings.config_path
        if path is None:
            return {}
        return {"vault": kv.as_layer(path, self._known[path][1])}


def _reason(changed: list[str]) -> str:
    return f"Vault: {', '.join(changed)}" if changed else "Vault read"
