"""What the embedded Vault server sets up for itself when it is started for the first time.

An AppRole for each purpose, none of which may do what another is for: `ecap` are the
services, `ecap-operator` is a person at this machine, `ecap-database` is the start,
which tells the database engine where PostgreSQL is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROLE = "ecap"
OPERATOR_ROLE = "ecap-operator"
DATABASE_ROLE = "ecap-database"
ROLES = (ROLE, DATABASE_ROLE, OPERATOR_ROLE)

TRANSIT_KEY = "ecap"
SECRETS = "ecap/"
"""What the operator may write, and the services read, begins with it."""
LEASES = "ecap"
"""Role of the database engine, and name of its connection."""
OWNER = "ecap"
"""The PostgreSQL user that leased ones act as."""


@dataclass(frozen=True)
class LogIn:
    role_id: str
    secret_id_file: Path


def initialize(mount: str, log_ins: Mapping[str, LogIn]) -> Iterator[str]:
    """The last request makes the operator's log-in: when it works, all of this is done."""
    yield 'initialize "ecap" {'
    for name, path, data in (
        ("kv", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}}),
        ("transit", "sys/mounts/transit", {"type": "transit"}),
        ("transit-key", f"transit/keys/{TRANSIT_KEY}", {"type": "aes256-gcm96"}),
        ("database", "sys/mounts/database", {"type": "database"}),
        ("leases", f"database/roles/{LEASES}", _leases()),
        ("approle", "sys/auth/approle", {"type": "approle"}),
    ):
        yield from _request(name, path, data)
    for role in ROLES:
        yield from _role(role, _policy(role, mount), log_ins[role])
    yield "}"


def _leases() -> dict[str, Any]:
    """A leased user owns nothing, so that it can always be dropped: it acts as the owner."""
    create = (
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
        f' IN ROLE "{OWNER}"'
    )
    return {
        "db_name": LEASES,
        "creation_statements": [create],
        "revocation_statements": ['DROP ROLE IF EXISTS "{{name}}"'],
        "default_ttl": "1h",
        "max_ttl": "24h",
    }


def _policy(role: str, mount: str) -> str:
    rules: dict[str, tuple[str, ...]]
    if role == DATABASE_ROLE:
        rules = {f"database/config/{LEASES}": ("create", "update")}
    elif role == OPERATOR_ROLE:
        rules = {
            f"{mount}/data/{SECRETS}*": ("create", "read", "update"),
            f"{mount}/metadata/{SECRETS}*": ("read", "list"),
            f"transit/encrypt/{TRANSIT_KEY}": ("update",),
            f"transit/decrypt/{TRANSIT_KEY}": ("update",),
        }
    else:
        rules = {
            f"{mount}/data/{SECRETS}*": ("read",),
            f"{mount}/metadata/{SECRETS}*": ("read", "list"),
            f"transit/decrypt/{TRANSIT_KEY}": ("update",),
            f"database/creds/{LEASES}": ("read",),
            # By its id, which only the process knows that leased it.
            "sys/leases/revoke": ("update",),
        }
    return "\n".join(
        f'path "{path}" {{ capabilities = {json.dumps(list(allowed))} }}'
        for path, allowed in rules.items()
    )


def _role(role: str, policy: str, log_in: LogIn) -> Iterator[str]:
    path = f"auth/approle/role/{role}"
    terms = {"token_policies": [role], "token_no_default_policy": False}
    terms |= {"token_ttl": "1h", "token_max_ttl": "24h"}
    secret_id = log_in.secret_id_file.read_text().strip()
    yield from _request(f"{role}-policy", f"sys/policies/acl/{role}", {"policy": policy})
    yield from _request(f"{role}-role", path, terms)
    yield from _request(f"{role}-role-id", f"{path}/role-id", {"role_id": log_in.role_id})
    yield from _request(f"{role}-secret-id", f"{path}/custom-secret-id", {"secret_id": secret_id})


def block(head: str, values: dict[str, Any]) -> Iterator[str]:
    """HCL as OpenBao reads it: one attribute a line, strings quoted as in JSON."""
    yield f"{head} {{"
    for key, value in values.items():
        yield f"  {key} = {json.dumps(value)}"
    yield "}"


def _request(name: str, path: str, data: dict[str, Any]) -> Iterator[str]:
    yield f"  request {json.dumps(name)} {{"
    yield '    operation = "update"'
    yield f"    path = {json.dumps(path)}"
    yield "    data = {"
    for key, value in data.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items())
            yield f"      {key} = {{ {inner} }}"
        else:
            yield f"      {key} = {json.dumps(value)}"
    yield "    }"
    yield "  }"
