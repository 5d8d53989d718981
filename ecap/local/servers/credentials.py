"""Secrets of a local ECAP, generated at first use.

Files of mode 0600 hold what is needed before the Vault server answers; the rest
lives in it alone. Workers get references to either, never values.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ecap.config.secrets.keyring import text
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import KeyringStore
from ecap.config.secrets.vault.client import VaultSecrets
from ecap.config.settings.tree import Settings
from ecap.errors import Misconfigured, NotFound
from ecap.local.servers.vault_setup import LogIn
from ecap.local.state.folder import StateDir


def password() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Generated:
    """A secret that ECAP makes for itself when the user set none."""

    setting: str
    path: str
    key: str
    generate: Callable[[], str]
    is_set: Callable[[Settings], bool]


GENERATED = (
    Generated(
        "ECAP__AUTH__ADMIN_PASSWORD",
        "ecap/auth",
        "admin_password",
        password,
        lambda s: s.auth.admin_password is not None,
    ),
    Generated(
        "ECAP__MESH__SERVICE_KEY",
        "ecap/mesh",
        "service_key",
        lambda: secrets.token_urlsafe(32),
        lambda s: s.mesh.service_key is not None,
    ),
    Generated(
        "ECAP__WEBHOOK__SIGNING_KEY",
        "ecap/webhook",
        "signing_key",
        lambda: secrets.token_urlsafe(32),
        lambda s: s.webhook.signing_key is not None,
    ),
    Generated(
        "ECAP__HTTP__METRICS_TOKEN",
        "ecap/http",
        "metrics_token",
        lambda: secrets.token_urlsafe(24),
        lambda s: s.http.metrics_token is not None,
    ),
)


class Credentials:
    """The files in `secrets/`. Reading a property makes the file if there is none."""

    def __init__(self, state: StateDir) -> None:
        self._state = state

    @property
    def postgres_password(self) -> Path:
        return self._text("postgres_password", password)

    @property
    def postgres_superuser_password(self) -> Path:
        return self._text("postgres_superuser_password", password)

    @property
    def seal_key(self) -> Path:
        return self._state.secret("vault_seal_key", lambda: secrets.token_bytes(32))

    @property
    def leases_password(self) -> Path:
        return self._text("postgres_leases_password", password)

    def log_in(self, role: str) -> LogIn:
        """Of an AppRole of the embedded Vault server."""
        suffix = role.removeprefix("ecap").replace("-", "_")
        role_id = self._text(f"vault{suffix}_role_id", lambda: str(uuid.uuid4()))
        return LogIn(role_id.read_text(), self._text(f"vault{suffix}_secret_id", password))

    @property
    def demo_password(self) -> Path:
        return self._text("demo_password", password)

    @property
    def keyring(self) -> Path:
        return self._text("keyring", lambda: text.write((new_key(now=time.time()),)))

    @property
    def ray_token(self) -> Path:
        return self._text("ray_token", lambda: secrets.token_hex(32))

    def in_file(self, item: Generated) -> Path:
        """Where `item` is kept when the Vault server is not ours to write to."""
        return self._text(f"{item.path}_{item.key}".replace("/", "_"), item.generate)

    def _text(self, name: str, generate: Callable[[], str]) -> Path:
        return self._state.secret(name, lambda: generate().encode())


def references(
    settings: Settings, credentials: Credentials, *, embedded_vault: bool
) -> dict[str, str]:
    """Settings of every secret the user did not set, as references."""
    found = {}
    for item in GENERATED:
        if item.is_set(settings):
            continue
        if embedded_vault:
            reference = f"vault:{item.path}#{item.key}"
        else:
            reference = f"file:{credentials.in_file(item)}"
        found[item.setting] = reference
    return found


def ensure_keyring(kept: KeyringStore) -> None:
    try:
        kept.load()
    except NotFound:
        kept.save(Keyring([new_key(now=time.time())]), revision=None)


def store(vault: VaultSecrets, extra: Mapping[str, Mapping[str, str]]) -> None:
    """Write into the embedded Vault server what it does not have yet, and `extra`."""
    wanted: dict[str, dict[str, Callable[[], str]]] = {}
    for item in GENERATED:
        wanted.setdefault(item.path, {})[item.key] = item.generate
    for path in wanted.keys() | extra.keys():
        try:
            present = dict(vault.read(path))
        except Misconfigured:  # nothing at this path yet
            present = {}
        missing = {
            key: generate() for key, generate in wanted.get(path, {}).items() if key not in present
        }
        updated = {**present, **missing, **extra.get(path, {})}
        if updated != present:
            vault.write(path, updated)
