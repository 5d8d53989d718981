"""A Vault-API server (HashiCorp Vault or OpenBao): KV, transit, database leases.

With `ecap.config.secrets.vault.login` the only module that imports hvac. Its calls block; the
hub makes them in threads.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import hvac
import requests
from hvac.exceptions import (
    Forbidden,
    InvalidPath,
    InvalidRequest,
    Unauthorized,
    VaultDown,
    VaultError,
)

from ecap.errors import Conflict, Misconfigured, Unauthenticated, Unavailable


@dataclass(frozen=True, slots=True)
class Secret:
    values: Mapping[str, str] = field(repr=False)
    version: int
    """0 in KV version 1, which counts none."""


@dataclass(frozen=True, slots=True)
class Lease:
    duration_s: float
    """0: it does not end."""
    renewable: bool


@dataclass(frozen=True, slots=True)
class DatabaseUser:
    username: str
    password: str = field(repr=False)
    lease_id: str = field(repr=False)
    duration_s: float = 0


class VaultSecrets:
    """`read` keeps what it read; `secret` always asks."""

    def __init__(
        self, client: hvac.Client, *, mount: str, kv_version: int = 2, lease: Lease | None = None
    ) -> None:
        self._client = client
        self._mount = mount
        self._kv_version = kv_version
        self._read: dict[str, Mapping[str, str]] = {}
        self.lease = lease or Lease(0, renewable=False)

    def read(self, path: str) -> Mapping[str, str]:
        """Every key of the secret. Raises Misconfigured when there is none."""
        if path not in self._read:
            found = self.secret(path)
            if found is None:
                raise Misconfigured(f"Vault has no secret at {self._mount}/{path}")
            self._read[path] = found.values
        return self._read[path]

    def secret(self, path: str) -> Secret | None:
        with translated(f"read {self._mount}/{path}"):
            try:
                if self._kv_version == 1:
                    v1 = self._client.secrets.kv.v1.read_secret(path=path, mount_point=self._mount)
                    return Secret(_texts(v1["data"]), 0)
                v2 = self._client.secrets.kv.v2.read_secret_version(
                    path=path, mount_point=self._mount, raise_on_deleted_version=True
                )
            except InvalidPath:
                return None
        return Secret(_texts(v2["data"]["data"]), int(v2["data"]["metadata"]["version"]))

    def state(self, path: str) -> str:
        """Differs whenever the secret has changed; cheaper than reading it in KV version 2."""
        if self._kv_version == 1:
            found = self.secret(path)
            if found is None:
                return "none"
            return hashlib.sha256(repr(sorted(found.values.items())).encode()).hexdigest()
        with translated(f"read the metadata of {self._mount}/{path}"):
            try:
                answer = self._client.secrets.kv.v2.read_secret_metadata(
                    path=path, mount_point=self._mount
                )
            except InvalidPath:
                return "none"
        current = answer["data"]["current_version"]
        version = answer["data"]["versions"].get(str(current), {})
        created, deleted = version.get("created_time"), version.get("deletion_time")
        # The time too: after "delete all versions" counting begins again.
        return f"{current} {created} {deleted} {version.get('destroyed')}"

    def write(self, path: str, values: Mapping[str, str], *, cas: int | None = None) -> None:
        """`cas` is the version that is replaced, 0 for none. Raises Conflict when it is another."""
        with translated(f"write {self._mount}/{path}"):
            if self._kv_version == 1:
                self._client.secrets.kv.v1.create_or_update_secret(
                    path=path, secret=dict(values), mount_point=self._mount
                )
            else:
                try:
                    self._client.secrets.kv.v2.create_or_update_secret(
                        path=path, secret=dict(values), cas=cas, mount_point=self._mount
                    )
                except InvalidRequest as exc:
                    if "check-and-set" not in str(exc):
                        raise
                    raise Conflict(
                        f"Vault: {self._mount}/{path} is no longer version {cas}; read it again"
                    ) from None
        self._read.pop(path, None)

    def renew(self) -> Lease:
        """Raises Unauthenticated when the token cannot live longer."""
        with translated("renew the token"):
            answer = self._client.auth.token.renew_self()
        self.lease = lease_of(answer)
        return self.lease

    def transit_encrypt(self, plain: str, *, key: str, mount: str) -> str:
        with translated(f"encrypt with {mount}/{key}"):
            answer = self._client.secrets.transit.encrypt_data(
                name=key,
                plaintext=base64.b64encode(plain.encode()).decode(),
                mount_point=mount,
            )
        return str(answer["data"]["ciphertext"])

    def transit_decrypt(self, wrapped: str, *, key: str, mount: str) -> str:
        """Raises Misconfigured when it was not encrypted with that key, or altered."""
        with translated(f"decrypt with {mount}/{key}"):
            try:
                answer = self._client.secrets.transit.decrypt_data(
                    name=key, ciphertext=wrapped, mount_point=mount
                )
            except InvalidRequest:
                raise Misconfigured(
                    f"not encrypted with the transit key {mount}/{key}, or altered"
                ) from None
        return base64.b64decode(answer["data"]["plaintext"]).decode()

    def database_user(self, role: str, *, mount: str) -> DatabaseUser:
        with translated(f"lease a user of {mount}/{role}"):
            answer = self._client.secrets.database.generate_credentials(
                name=role, mount_point=mount
            )
        return DatabaseUser(
            username=answer["data"]["username"],
            password=answer["data"]["password"],
            lease_id=answer["lease_id"],
            duration_s=float(answer["lease_duration"]),
        )

    def database_connection(
        self,
        name: str,
        *,
        mount: str,
        url: str,
        username: str,
        password: str,
        roles: Sequence[str],
    ) -> None:
        """Of the database engine to PostgreSQL; it need not answer yet."""
        with translated(f"configure {mount}/{name}"):
            self._client.secrets.database.configure(
                name=name,
                plugin_name="postgresql-database-plugin",
                verify_connection=False,
                allowed_roles=list(roles),
                mount_point=mount,
                connection_url=url,
                username=username,
                password=password,
                # PostgreSQL is told the hash: statements may be logged.
                password_authentication="scram-sha-256",  # noqa: S106  a method, no password
            )

    def renew_lease(self, lease_id: str, *, increment_s: float) -> float:
        """Seconds it lives from now. Raises Unauthenticated or Misconfigured when it has ended."""
        with translated("renew a lease"):
            try:
                answer = self._client.sys.renew_lease(lease_id=lease_id, increment=int(increment_s))
            except InvalidRequest as exc:
                raise Unauthenticated("Vault: the lease has ended") from exc
        return float(answer["lease_duration"])

    def revoke_lease(self, lease_id: str) -> None:
        with translated("revoke a lease"):
            self._client.sys.revoke_lease(lease_id=lease_id)


def lease_of(answer: Mapping[str, Any]) -> Lease:
    return Lease(float(answer["auth"]["lease_duration"]), bool(answer["auth"]["renewable"]))


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else str(value) for key, value in values.items()}


@contextmanager
def translated(what: str) -> Iterator[None]:
    try:
        yield
    except (Forbidden, Unauthorized) as exc:
        raise Unauthenticated(f"Vault refuses to {what}") from exc
    except (VaultError, requests.RequestException) as exc:
        raise Unavailable(f"Vault{_why(exc)}: cannot {what}") from exc


def _why(exc: Exception) -> str:
    if isinstance(exc, InvalidRequest):
        return " refuses"
    if isinstance(exc, VaultDown):
        return " is sealed, or has no leader"
    if isinstance(exc, requests.exceptions.SSLError):
        return " shows a certificate that is not trusted (vault.ca_cert)"
    if isinstance(exc, requests.Timeout):
        return " does not answer in time"
    return " cannot be reached" if isinstance(exc, requests.ConnectionError) else ""
