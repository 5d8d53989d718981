"""The embedded Vault server, and in it every secret that ECAP generates."""

from __future__ import annotations

import asyncio

from ecap.config.secrets.keyring import stores
from ecap.config.secrets.vault import login
from ecap.config.settings.keyring import Keyring
from ecap.local.process.process import Started
from ecap.local.servers import credentials as creds
from ecap.local.servers.credentials import Credentials
from ecap.local.servers.vault import OpenBao
from ecap.local.servers.vault_setup import OPERATOR_ROLE


class WithSecrets:
    """OpenBao is ready when the generated secrets are in it."""

    def __init__(
        self, bao: OpenBao, secrets: Credentials, *, postgres: bool, keyring: Keyring
    ) -> None:
        self.name = bao.name
        self.port = bao.port
        self._bao = bao
        self._secrets = secrets
        self._postgres = postgres
        self._keyring = keyring

    async def start(self) -> Started:
        child = await self._bao.start()
        await asyncio.to_thread(self._store)
        return child

    async def stop(self) -> None:
        await self._bao.stop()

    async def ended(self) -> str:
        return await self._bao.ended()

    def _store(self) -> None:
        operator = login.log_in(self._bao.settings(OPERATOR_ROLE))
        extra = {}
        if self._postgres:
            extra["ecap/postgres"] = {"password": self._secrets.postgres_password.read_text()}
        creds.store(operator, extra)
        if self._keyring.source == "vault":
            creds.ensure_keyring(stores.store(self._keyring, {}, secrets=operator))
