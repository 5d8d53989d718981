"""The settings a process starts with: files, Vault and environment variables, read once.

What lives in Kubernetes, and operators' overrides, arrive with the first snapshot
of the hub.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import ecap
from ecap import logs
from ecap.config.layers import assembly, environment, schema, validation, yaml_text
from ecap.config.layers.assembly import Draft
from ecap.config.layers.layer import Given, Layer, Source
from ecap.config.layers.references import Reference
from ecap.config.secrets.folders import SecretFiles
from ecap.config.secrets.keyring import stores
from ecap.config.secrets.keyring.ring import Keyring
from ecap.config.secrets.vault import kv
from ecap.config.settings.connections.vault import Vault
from ecap.config.settings.keyring import Keyring as KeyringSection
from ecap.config.settings.secrets import Secrets
from ecap.config.settings.tree import Settings
from ecap.config.sources import last_good
from ecap.errors import Misconfigured

if TYPE_CHECKING:
    from ecap.config.secrets.vault.client import VaultSecrets

_log = logs.get("ecap.config")


def config_dir(environ: Mapping[str, str]) -> Path:
    named = environ.get("ECAP_CONFIG_DIR")
    return Path(named) if named else Path(ecap.__file__).parent.parent / "configs"


def environment_name(environ: Mapping[str, str]) -> str:
    return environ.get("ECAP_ENVIRONMENT") or environ.get("ECAP__ENVIRONMENT", "development")


def files(environ: Mapping[str, str]) -> dict[Source, Layer]:
    """base.yaml and <environment>.yaml. Raises Misconfigured with file and line."""
    folder = config_dir(environ)
    name = environment_name(environ)
    base = yaml_text.read(folder / "base.yaml", "base")
    chosen = yaml_text.read(folder / f"{name}.yaml", "environment-file")
    named = Given(name, "ECAP_ENVIRONMENT")
    return {
        "base": base,
        "environment-file": Layer("environment-file", {**chosen.values, "environment": named}),
    }


def layers(environ: Mapping[str, str]) -> dict[Source, Layer]:
    """What needs no other system."""
    return with_variables(files(environ), environ)


@cache
def _say(why: str) -> None:
    """Once: a command reads them several times."""
    _log.warning("files are refused, the last accepted ones count: %s", why)


def with_variables(
    given: Mapping[Source, Layer], environ: Mapping[str, str]
) -> dict[Source, Layer]:
    """Defaults beneath the files, the environment above them."""
    return {"defaults": schema.defaults(), **given, "environment": environment.read(environ)}


def usable_files(environ: Mapping[str, str]) -> tuple[dict[Source, Layer], str | None]:
    """Those that a process starts with: as they are, or, where they are refused, the last
    that were accepted here, and why. Raises Misconfigured when there are none."""
    try:
        given = files(environ)
        assembly.draft(with_variables(given, environ), environ).unread()
    except Misconfigured as exc:
        kept = last_good.read(_place(environ))
        if kept is None:
            raise
        try:
            assembly.draft(with_variables(kept, environ), environ).unread()
        except Misconfigured:
            raise exc from None  # it is not the files alone
        return kept, exc.detail
    return given, None


def _place(environ: Mapping[str, str]) -> Path:
    return last_good.path(environ, folder=config_dir(environ), name=environment_name(environ))


def load(environ: Mapping[str, str] | None = None, *, secrets: bool = True) -> Settings:
    """Read, merge, resolve and validate.

    `secrets=False` leaves references unread, for a process that only needs
    addresses. Files that are refused are harmless to who has started with others before:
    those count then. Raises Misconfigured, or Unavailable when Vault cannot be reached.
    """
    environ = os.environ if environ is None else environ
    try:
        given = files(environ)
        settings = _settings(with_variables(given, environ), environ, secrets=secrets)
    except Misconfigured:
        kept, why = usable_files(environ)
        if why is None:
            raise
        settings = _settings(with_variables(kept, environ), environ, secrets=secrets)
        _say(why)
        return settings
    last_good.keep(_place(environ), given)
    return settings


def _settings(
    given: Mapping[Source, Layer], environ: Mapping[str, str], *, secrets: bool
) -> Settings:
    plain = assembly.draft(given, environ)
    if not secrets:
        return plain.unread()
    reader = Reader(plain, environ)
    store_layer = reader.vault_layer()
    if store_layer is None:
        return plain.settings(reader.read)
    return assembly.draft({**given, "vault": store_layer}, environ).settings(reader.read)


def keyring(environ: Mapping[str, str]) -> Keyring:
    """Raises Misconfigured or NotFound when there is none, Unavailable."""
    given, _ = usable_files(environ)
    return Reader(assembly.draft(with_variables(given, environ), environ), environ).keyring()


class Reader:
    """Reads references while a process starts; opens a store only when one needs it."""

    def __init__(self, plain: Draft, environ: Mapping[str, str]) -> None:
        self._plain = plain
        self._environ = environ
        self._places = plain.references()
        self._store: VaultSecrets | None = None
        self._keyring: Keyring | None = None

    def read(self, reference: Reference) -> str:
        where = self._places.get(reference, reference.name)
        if reference.scheme == "file":
            return self._secret_files().text(reference, where=where)
        if reference.scheme == "vault":
            return kv.item(self._vault(where), reference, where=where)
        if reference.scheme == "enc":
            return self.keyring(where).open_text(reference.target, where=where)
        raise Misconfigured(
            f"{where}: {reference.name} is read by the hub through the Kubernetes API;"
            " mount the Secret and write file:/path for what a process needs to start"
        )

    def vault_layer(self) -> Layer | None:
        section = self._vault_section()
        if section.address is None or section.config_path is None:
            return None
        return kv.layer(self._vault("vault.config_path"), section.config_path)

    def _secret_files(self) -> SecretFiles:
        values, found = self._plain.values, self._plain.found
        section = validation.section(Secrets, "secrets", values, found)
        return SecretFiles.of(section, state_dir=Path(values["state_dir"]))

    def _vault_section(self) -> Vault:
        return validation.section(Vault, "vault", self._plain.values, self._plain.found)

    def _vault(self, where: str) -> VaultSecrets:
        if self._store is None:
            section = self._vault_section()
            if section.address is None:
                raise Misconfigured(f"{where} refers to Vault, but vault.address is not set")
            self._store = _log_in(section)
        return self._store

    def keyring(self, where: str = "keyring.source") -> Keyring:
        """Raises Misconfigured or NotFound when there is none."""
        if self._keyring is None:
            section = validation.section(
                KeyringSection, "keyring", self._plain.values, self._plain.found
            )
            secrets = self._vault(where) if stores.needs_vault(section) else None
            store = stores.store(section, self._environ, secrets=secrets)
            self._keyring = store.load().ring
        return self._keyring


def _log_in(section: Vault) -> VaultSecrets:
    # Late: its client costs a third of what all the rest of a configuration costs to import.
    from ecap.config.secrets.vault.login import log_in

    return log_in(section)
