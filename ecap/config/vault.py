"""Secrets from a Vault-API server (HashiCorp Vault or OpenBao): AppRole, KV version 2."""

from __future__ import annotations

from collections.abc import Mapping

import hvac
import requests
from hvac.exceptions import InvalidPath, VaultError

from ecap.config.settings import Vault
from ecap.errors import Misconfigured, Unavailable


class VaultSecrets:
    """Reads each path once; a process that needs newer values makes a new one."""

    def __init__(self, client: hvac.Client, *, mount: str) -> None:
        self._client = client
        self._mount = mount
        self._read: dict[str, Mapping[str, str]] = {}

    def read(self, path: str) -> Mapping[str, str]:
        if path not in self._read:
            try:
                answer = self._client.secrets.kv.v2.read_secret_version(
                    path=path, mount_point=self._mount, raise_on_deleted_version=True
                )
            except InvalidPath as exc:
                raise Misconfigured(f"Vault has no secret at {self._mount}/{path}") from exc
            except (VaultError, requests.RequestException) as exc:
                raise Unavailable(f"Vault: cannot read {self._mount}/{path}") from exc
            self._read[path] = answer["data"]["data"]
        return self._read[path]

    def write(self, path: str, values: Mapping[str, str]) -> None:
        try:
            self._client.secrets.kv.v2.create_or_update_secret(
                path=path, secret=dict(values), mount_point=self._mount
            )
        except (VaultError, requests.RequestException) as exc:
            raise Unavailable(f"Vault: cannot write {self._mount}/{path}") from exc
        self._read.pop(path, None)


def log_in(settings: Vault) -> VaultSecrets:
    """Raises Misconfigured when a setting is missing, Unavailable when Vault is away."""
    if settings.address is None:
        raise Misconfigured("vault.address is not set")
    if settings.role_id is None or settings.secret_id_file is None:
        raise Misconfigured("vault.role_id and vault.secret_id_file are needed to log in")
    try:
        secret_id = settings.secret_id_file.read_text().strip()
    except OSError as exc:
        raise Misconfigured(
            f"vault.secret_id_file: cannot read {settings.secret_id_file}: {exc.strerror}"
        ) from exc
    client = hvac.Client(
        url=settings.address,
        namespace=settings.namespace,
        verify=str(settings.ca_cert) if settings.ca_cert else True,
        timeout=5,
    )
    try:
        client.auth.approle.login(role_id=settings.role_id, secret_id=secret_id)
    except (VaultError, requests.RequestException) as exc:
        raise Unavailable(f"Vault: cannot log in at {settings.address}") from exc
    return VaultSecrets(client, mount=settings.mount)
