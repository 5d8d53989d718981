"""`ecap secrets`: put, get, rotate-keys, status. Values come from stdin, never from arguments."""

from __future__ import annotations

import asyncio
import getpass
import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import typer

from ecap.cli.failure import fail
from ecap.cli.options import Json
from ecap.cli.secrets import rotation
from ecap.cli.told import by_command, told
from ecap.config.layers import references
from ecap.config.secrets.keyring import stores
from ecap.config.secrets.keyring.stores import KeyringStore
from ecap.config.secrets.vault import login
from ecap.config.secrets.vault.client import VaultSecrets
from ecap.config.settings.connections.vault import Vault
from ecap.config.settings.tree import Settings
from ecap.config.sources import startup
from ecap.errors import EcapError, Invalid, Misconfigured, NotFound, Unauthenticated
from ecap.local.servers.credentials import Credentials
from ecap.local.servers.vault_setup import OPERATOR_ROLE, SECRETS
from ecap.local.state.folder import open_state
from ecap.local.state.running import environ_here

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def put(
    path: Annotated[str, typer.Argument(help="path in Vault; with --enc none")] = "",
    item: Annotated[str, typer.Argument(help="key of the secret at that path")] = "",
    enc: Annotated[bool, typer.Option("--enc", help="encrypt it and print the reference")] = False,
) -> None:
    """Store what stdin says (a terminal asks without showing it), and print the reference."""
    environ = environ_here()
    try:
        text = _typed()
        if enc:
            print(startup.keyring(environ).seal_text(text))
            return
        if not (path and item):
            raise Invalid("write `ecap secrets put PATH KEY`, or --enc", field="path")
        told(
            "config",
            lambda: _database(environ),
            lambda: _put(login.log_in(_writer(environ)), path, item, text),
            lambda version: by_command(
                "secret.written", subject=f"vault:{path}#{item}", version=version
            ),
        )
    except Unauthenticated as exc:
        raise fail(exc, hint=_writable(environ, path, item)) from exc
    except EcapError as exc:
        raise fail(exc) from exc
    print(f"vault:{path}#{item}")


@app.command()
def get(
    path: Annotated[str, typer.Argument(help="path in Vault")],
    item: Annotated[str, typer.Argument(help="key of the secret at that path")],
) -> None:
    """Print one secret."""
    try:
        found = login.log_in(_writer(environ_here())).read(path).get(item)
        if found is None:
            raise NotFound(f"Vault has no key {item!r} at {path!r}")
    except EcapError as exc:
        raise fail(exc) from exc
    print(found)


@app.command(name="rotate-keys")
def rotate_keys(
    retire: Annotated[
        bool, typer.Option("--retire", help="drop the old keys when all is encrypted again")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="no new key: go on encrypting with the present one")
    ] = False,
) -> None:
    """A new key encrypts from now on, and everything is encrypted again under it."""
    environ = environ_here()
    try:
        rotated = asyncio.run(
            rotation.rotate(environ, _store(environ), retire=retire, resume=resume, tell=_tell)
        )
        key = rotated.ring.primary.id
        told(
            "config",
            lambda: _database(environ),
            lambda: None,
            lambda _: by_command("keys.rotated", subject=key, keys=len(rotated.ring.keys)),
        )
    except EcapError as exc:
        raise fail(exc, hint="`ecap secrets rotate-keys --resume` goes on") from exc
    print(
        f"key {key} encrypts; {rotated.renewed} values encrypted again;"
        f" {len(rotated.ring.keys)} keys in the ring"
    )


@app.command()
def status(json: Json = False) -> None:
    """The keys and their ages. Exit code 1 when the one that encrypts is too old."""
    environ = environ_here()
    try:
        limit = startup.load(environ, secrets=False).keyring.max_age_s
        ring = startup.keyring(environ)
    except EcapError as exc:
        raise fail(exc) from exc
    now = time.time()
    rows = [
        {
            "id": key.id,
            "encrypts": key is ring.primary,
            "age_s": None if key.created_at is None else now - key.created_at,
        }
        for key in ring.keys
    ]
    if json:
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
    else:
        for row in rows:
            print(f"{row['id']}  {_age(row['age_s'])}{'  encrypts' if row['encrypts'] else ''}")
    age_s = ring.age_s(now=now)
    if age_s is not None and age_s > limit:
        raise typer.Exit(1)


def _put(secrets: VaultSecrets, path: str, item: str, text: str) -> int:
    """The version that was written."""
    found = secrets.secret(path)
    values = {**(found.values if found else {}), item: text}
    version = found.version if found else 0
    secrets.write(path, values, cas=version)
    return version + 1


def _typed() -> str:
    text = getpass.getpass("secret: ") if sys.stdin.isatty() else sys.stdin.read()
    text = references.trimmed(text)
    if not text:
        raise Invalid("the secret is empty", field="stdin")
    return text


def _age(age_s: Any) -> str:
    return "age unknown" if age_s is None else f"{age_s / 86400:.1f} days"


def _writer(environ: Mapping[str, str]) -> Vault:
    """As the operator where this machine has its credentials, otherwise as configured."""
    settings = startup.load(environ, secrets=False)
    state = open_state(settings.state_dir)
    if settings.vault.address is None:
        raise Misconfigured("vault.address is not set, and `ecap up` does not run here")
    if not (state.secrets / "vault_operator_secret_id").exists():
        return settings.vault
    operator = Credentials(state).log_in(OPERATOR_ROLE)
    return settings.vault.model_copy(
        update={
            "auth": "approle",
            "role_id": operator.role_id,
            "secret_id_file": operator.secret_id_file,
        }
    )


def _writable(environ: Mapping[str, str], path: str, item: str) -> str:
    """Which paths may be written, for who was refused one."""
    settings = startup.load(environ, secrets=False)
    operator = open_state(settings.state_dir).secrets / "vault_operator_secret_id"
    if operator.exists() and not path.startswith(SECRETS):
        return f"paths here begin with {SECRETS}, as `ecap secrets put {SECRETS}{path} {item}`"
    return (
        f"the policy of who logs in by {settings.vault.auth} says which paths below"
        f" {settings.vault.mount}/ may be read and written"
    )


def _database(environ: Mapping[str, str]) -> Settings:
    """Another secret that is missing is no reason to be silent about this one: a database that
    leases its users needs none."""
    try:
        return startup.load(environ)
    except EcapError:
        return startup.load(environ, secrets=False)


def _store(environ: Mapping[str, str]) -> KeyringStore:
    section = startup.load(environ, secrets=False).keyring
    secrets = login.log_in(_writer(environ)) if stores.needs_vault(section) else None
    return stores.store(section, environ, secrets=secrets)


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
