"""Secret references in configuration values: `vault:path#key` and `file:/path`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ecap.errors import Misconfigured


class SecretStore(Protocol):
    def read(self, path: str) -> Mapping[str, str]:
        """Every key of the secret at `path`. Raises Misconfigured or Unavailable."""
        ...


def uses_vault(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(uses_vault(v) for v in value.values())
    if isinstance(value, list | tuple):
        return any(uses_vault(v) for v in value)
    return isinstance(value, str) and value.startswith("vault:")


def resolve(value: Any, *, store: SecretStore | None, key: str = "") -> Any:
    """Replace every reference below `value`. Raises Misconfigured naming the key."""
    if isinstance(value, Mapping):
        return {
            k: resolve(v, store=store, key=f"{key}.{k}" if key else str(k))
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [resolve(v, store=store, key=f"{key}[{i}]") for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value
    if value.startswith("file:"):
        return _from_file(Path(value.removeprefix("file:")), key)
    if value.startswith("vault:"):
        return _from_vault(value.removeprefix("vault:"), store, key)
    return value


def _from_file(path: Path, key: str) -> str:
    try:
        return path.read_text().strip()
    except OSError as exc:
        raise Misconfigured(f"{key}: cannot read the secret file {path}: {exc.strerror}") from exc


def _from_vault(reference: str, store: SecretStore | None, key: str) -> str:
    path, mark, name = reference.partition("#")
    if not (path and mark and name):
        raise Misconfigured(f"{key}: write the reference as vault:path#key")
    if store is None:
        raise Misconfigured(f"{key} refers to Vault, but vault.address is not set")
    found = store.read(path).get(name)
    if found is None:
        raise Misconfigured(f"{key}: Vault has no key {name!r} at {path!r}")
    return found
