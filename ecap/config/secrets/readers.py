"""Reading references for the hub: one reader a scheme, all that are wanted at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from ecap.config.layers.references import Reference
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.errors import Misconfigured

Reader = Callable[[Reference, str], Awaitable[str]]
"""A reference and where it stands. Raises Misconfigured with that place, or Unavailable."""


class SecretReaders:
    def __init__(self, readers: Mapping[str, Reader]) -> None:
        self._readers = readers

    async def fetch(self, wanted: Mapping[Reference, str]) -> Mapping[Reference, str]:
        found = await asyncio.gather(*(self._read(ref, where) for ref, where in wanted.items()))
        return dict(zip(wanted, found, strict=True))

    async def _read(self, reference: Reference, where: str) -> str:
        reader = self._readers.get(reference.scheme)
        if reader is None:
            raise Misconfigured(
                f"{where}: {reference.name}: {_MISSING.get(reference.scheme, 'no such store')}"
            )
        return await reader(reference, where)


_MISSING = {
    "vault": "vault.address is not set",
    "k8s": "kubernetes.enabled is off",
    "enc": "there is no keyring; set keyring.source",
}


def from_keyring(keys: LiveKeyring) -> Reader:
    async def read(reference: Reference, where: str) -> str:
        return (await keys.open(reference.target.encode(errors="replace"), where=where)).decode()

    return read
