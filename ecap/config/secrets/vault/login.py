"""The ways to log in at a Vault-API server."""

from __future__ import annotations

from pathlib import Path

import hvac

from ecap.config.secrets.vault.client import Lease, VaultSecrets, lease_of, translated
from ecap.config.settings.connections.vault import Vault
from ecap.errors import Misconfigured, Unauthenticated, Unavailable


def log_in(settings: Vault) -> VaultSecrets:
    """Raises Misconfigured when a setting is missing, Unavailable when Vault is away or refuses."""
    if settings.address is None:
        raise Misconfigured("vault.address is not set")
    client = hvac.Client(
        url=settings.address,
        namespace=settings.namespace,
        verify=str(settings.ca_cert) if settings.ca_cert else True,
        cert=_certificate(settings),
        timeout=settings.timeout_s,
    )
    try:
        with translated(f"log in at {settings.address}"):
            lease = _log_in(client, settings)
    except Unauthenticated as exc:
        # A server that is still starting, or sealed, refuses in the same words.
        raise Unavailable(exc.detail) from exc
    return VaultSecrets(client, mount=settings.mount, kv_version=settings.kv_version, lease=lease)


def _log_in(client: hvac.Client, settings: Vault) -> Lease:
    mount = settings.auth_mount or settings.auth
    if settings.auth == "token":
        client.token = _secret_file("token_file", settings.token_file)
        data = client.auth.token.lookup_self()["data"]
        return Lease(float(data["ttl"]), bool(data.get("renewable")))
    if settings.auth == "approle":
        answer = client.auth.approle.login(
            role_id=_needed("role_id", settings.role_id),
            secret_id=_secret_file("secret_id_file", settings.secret_id_file),
            mount_point=mount,
        )
    elif settings.auth == "kubernetes":
        answer = client.auth.kubernetes.login(
            role=_needed("role", settings.role),
            jwt=_secret_file("jwt_file", settings.jwt_file),
            mount_point=mount,
        )
    else:
        answer = client.auth.userpass.login(
            username=_needed("username", settings.username),
            password=_secret_file("password_file", settings.password_file),
            mount_point=mount,
        )
    return lease_of(answer)


def _certificate(settings: Vault) -> tuple[str, str] | None:
    if settings.client_cert is None or settings.client_key is None:
        return None
    return str(settings.client_cert), str(settings.client_key)


def _needed(name: str, value: str | None) -> str:
    if value is None:
        raise Misconfigured(f"vault.{name} is needed to log in; set it or choose vault.auth")
    return value


def _secret_file(name: str, path: Path | None) -> str:
    if path is None:
        raise Misconfigured(f"vault.{name} is needed to log in; set it or choose vault.auth")
    try:
        return path.read_text().strip()
    except OSError as exc:
        raise Misconfigured(f"vault.{name}: cannot read {path}: {exc.strerror}") from exc
