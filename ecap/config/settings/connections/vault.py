"""The Vault-API server that secrets come from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ecap.config.settings.addresses import Url
from ecap.config.settings.section import Section


class Vault(Section):
    address: Url | None = Field(None, description="unset: `ecap up` starts an OpenBao server")
    mount: str = Field("secret", description="mount of the KV engine")
    kv_version: Literal[1, 2] = Field(2, description="2 keeps versions; 1 does not")
    namespace: str | None = Field(None, description="namespace of every request")
    ca_cert: Path | None = Field(None, description="CA that signed the server's certificate")
    client_cert: Path | None = Field(None, description="certificate shown to the server")
    client_key: Path | None = Field(None, description="key of `client_cert`")
    auth: Literal["approle", "token", "kubernetes", "userpass"] = Field(
        "approle", description="how to log in"
    )
    auth_mount: str | None = Field(None, description="unset: the method's own name")
    role_id: str | None = Field(None, description="approle: the role")
    secret_id_file: Path | None = Field(
        None, description="approle: file (0600) holding the secret id"
    )
    token_file: Path | None = Field(None, description="token: file (0600) holding it")
    role: str | None = Field(None, description="kubernetes: the role")
    jwt_file: Path = Field(
        Path("/var/run/secrets/kubernetes.io/serviceaccount/token"),
        description="kubernetes: the service account's token",
    )
    username: str | None = Field(None, description="userpass: the user")
    password_file: Path | None = Field(None, description="userpass: file (0600) with the password")
    config_path: str | None = Field(
        None, description="secret whose keys are settings, as `orders.currency`; unset: none"
    )
    database_role: str | None = Field(
        None, description="role of the database engine that leases PostgreSQL users; unset: none"
    )
    database_mount: str = Field("database", description="mount of the database engine")
    poll_s: float = Field(0.5, gt=0, description="between looks for new versions of secrets")
    timeout_s: float = Field(5.0, gt=0, description="of one request")
