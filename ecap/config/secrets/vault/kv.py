"""Secrets of Vault as settings, and as what references stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecap.config.layers.layer import Given, Layer, refuse_two_shapes
from ecap.config.layers.references import Reference
from ecap.errors import Misconfigured

if TYPE_CHECKING:
    from ecap.config.secrets.vault.client import Secret, VaultSecrets


def item(secrets: VaultSecrets, reference: Reference, *, where: str) -> str:
    """Raises Misconfigured naming `where` and the remedy."""
    remedy = f"store it with `ecap secrets put {reference.target} {reference.item}`"
    try:
        found = secrets.read(reference.target)
    except Misconfigured as exc:
        raise Misconfigured(f"{where}: {exc.detail}; {remedy}") from exc
    if reference.item not in found:
        raise Misconfigured(
            f"{where}: Vault has no key {reference.item!r} at {reference.target!r}; {remedy}"
        )
    return found[reference.item]


def layer(secrets: VaultSecrets, path: str) -> Layer:
    """The keys of the secret at `path` are settings. No secret there: an empty layer."""
    found = secrets.secret(path)
    return as_layer(path, found)


def as_layer(path: str, found: Secret | None) -> Layer:
    if found is None:
        return Layer("vault", {})
    version = str(found.version) if found.version else None
    place = f"vault:{path}"
    values = {
        key: Given(value, f"{place}#{key}", final=True, version=version)
        for key, value in found.values.items()
    }
    refuse_two_shapes(values)
    return Layer("vault", values)
