"""Where a keyring is kept: a file (0600), an environment variable, or Vault; wrapped by
Vault transit or not."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ecap.config.secrets.keyring.ring import Key, Keyring, with_material
from ecap.config.secrets.keyring.text import parse, write
from ecap.config.settings.keyring import Keyring as Section
from ecap.errors import Conflict, Misconfigured, NotFound

if TYPE_CHECKING:
    from ecap.config.secrets.vault.client import VaultSecrets


@dataclass(frozen=True)
class Stored:
    ring: Keyring
    revision: str
    """Of the store; a save names the one it read."""


class KeyringStore(Protocol):
    def load(self) -> Stored:
        """Raises NotFound when there is none yet, Misconfigured when it cannot be used."""
        ...

    def save(self, ring: Keyring, *, revision: str | None) -> None:
        """`None`: there was none. Raises Conflict when somebody else has written since."""
        ...


class Wrap(Protocol):
    """Keeps the stored key material unreadable to whoever can read the store."""

    def wrap(self, material: str) -> str: ...

    def unwrap(self, wrapped: str) -> str: ...


class Plain:
    def wrap(self, material: str) -> str:
        return material

    def unwrap(self, wrapped: str) -> str:
        return wrapped


class Transit:
    def __init__(self, secrets: VaultSecrets, *, mount: str, key: str) -> None:
        self._secrets = secrets
        self._mount = mount
        self._key = key

    def wrap(self, material: str) -> str:
        return self._secrets.transit_encrypt(material, key=self._key, mount=self._mount)

    def unwrap(self, wrapped: str) -> str:
        return self._secrets.transit_decrypt(wrapped, key=self._key, mount=self._mount)


def read_ring(text: str, wrap: Wrap, *, place: str) -> Keyring:
    keys = parse(text, place=place)
    return Keyring(with_material(key, wrap.unwrap(key.material)) for key in keys)


def write_ring(ring: Keyring, wrap: Wrap) -> str:
    wrapped = tuple(Key(wrap.wrap(key.material), key.created_at) for key in ring.keys)
    return write(wrapped)


class FileKeyring:
    def __init__(self, path: Path, wrap: Wrap) -> None:
        self._path = path
        self._wrap = wrap

    def load(self) -> Stored:
        try:
            # Of the one file that is open: with the revision of another that took its place
            # meanwhile, a later save would overwrite keys that it never saw.
            with self._path.open() as file:
                found = os.fstat(file.fileno())
                text = file.read()
        except FileNotFoundError:
            raise NotFound(f"there is no keyring at {self._path}") from None
        except OSError as exc:
            raise Misconfigured(f"cannot read the keyring {self._path}: {exc.strerror}") from exc
        except UnicodeDecodeError:
            raise Misconfigured(f"the keyring {self._path} is no text") from None
        # A mounted Secret is somebody else's file, and readable through its group.
        strangers = 0o077 if found.st_uid == os.geteuid() else 0o007
        if stat.S_IMODE(found.st_mode) & strangers:
            raise Misconfigured(f"others may read the keyring {self._path}: chmod 600 it")
        return Stored(read_ring(text, self._wrap, place=str(self._path)), _revision(found))

    def save(self, ring: Keyring, *, revision: str | None) -> None:
        if revision != (_revision(self._path.stat()) if self._path.exists() else None):
            raise Conflict(f"the keyring {self._path} has changed; read it again")
        try:
            self._write(write_ring(ring, self._wrap))
        except OSError as exc:
            raise Misconfigured(
                f"cannot write the keyring {self._path}: {exc.strerror};"
                " where it is mounted, change what it is mounted from"
            ) from exc

    def _write(self, text: str) -> None:
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(part, flags, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)


def _revision(found: os.stat_result) -> str:
    return f"{found.st_ino}.{found.st_mtime_ns}"


class EnvironmentKeyring:
    def __init__(self, variable: str, environ: Mapping[str, str], wrap: Wrap) -> None:
        self._variable = variable
        self._environ = environ
        self._wrap = wrap

    def load(self) -> Stored:
        text = self._environ.get(self._variable)
        if not text:
            raise NotFound(f"the environment variable {self._variable} is not set")
        return Stored(read_ring(text, self._wrap, place=self._variable), "environment")

    def save(self, ring: Keyring, *, revision: str | None) -> None:
        raise Conflict(
            f"the keyring is the environment variable {self._variable}, which cannot be written;"
            " set keyring.source to file or vault"
        )


class VaultKeyring:
    """One KV secret with the item `keyring`; KV version 2 refuses a lost update."""

    def __init__(self, secrets: VaultSecrets, path: str, wrap: Wrap) -> None:
        self._secrets = secrets
        self._path = path
        self._wrap = wrap

    def load(self) -> Stored:
        secret = self._secrets.secret(self._path)
        if secret is None or "keyring" not in secret.values:
            raise NotFound(f"Vault has no keyring at {self._path}")
        place = f"vault:{self._path}#keyring"
        ring = read_ring(secret.values["keyring"], self._wrap, place=place)
        return Stored(ring, str(secret.version))

    def save(self, ring: Keyring, *, revision: str | None) -> None:
        values = {"keyring": write_ring(ring, self._wrap)}
        self._secrets.write(self._path, values, cas=int(revision or 0))


def needs_vault(section: Section) -> bool:
    return section.source == "vault" or section.transit_key is not None


def wrapping(section: Section, secrets: VaultSecrets | None) -> Wrap:
    if section.transit_key is None:
        return Plain()
    if secrets is None:
        raise Misconfigured("keyring.transit_key is set, but vault.address is not")
    return Transit(secrets, mount=section.transit_mount, key=section.transit_key)


def store(
    section: Section, environ: Mapping[str, str], *, secrets: VaultSecrets | None
) -> KeyringStore:
    """Raises Misconfigured when the section does not say where the keyring is."""
    wrap = wrapping(section, secrets)
    if section.source == "file":
        if section.file is None:
            raise Misconfigured("keyring.source is file: set keyring.file")
        return FileKeyring(section.file, wrap)
    if section.source == "environment":
        return EnvironmentKeyring(section.variable, environ, wrap)
    if section.source == "vault":
        if secrets is None:
            raise Misconfigured("keyring.source is vault: set vault.address")
        return VaultKeyring(secrets, section.path, wrap)
    raise Misconfigured("there is no keyring: set keyring.source")
