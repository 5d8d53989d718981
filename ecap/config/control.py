"""Sections that say where configuration and secrets come from, and how they are pushed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from ecap.config.section import Section


class Vault(Section):
    address: str | None = Field(None, description="unset: `ecap up` starts an OpenBao server")
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


class Kubernetes(Section):
    enabled: bool = Field(False, description="read ConfigMaps and Secrets through the API")
    kubeconfig: Path | None = Field(None, description="unset: the pod's service account")
    context: str | None = Field(None, description="context of the kubeconfig; unset: its current")
    namespace: str = Field("ecap", description="where the ConfigMaps and Secrets are")
    label_selector: str = Field(
        "ecap.io/config=true", description="ConfigMaps and Secrets that hold settings"
    )
    watch_timeout_s: int = Field(300, ge=1, description="a watch is renewed after this")
    backoff_s: float = Field(0.5, gt=0, description="first wait after a failure; doubles")
    backoff_max_s: float = Field(30.0, gt=0, description="longest wait after a failure")


class Keyring(Section):
    """Where the Fernet keys are that protect secrets at rest."""

    source: Literal["none", "file", "environment", "kubernetes", "vault"] = Field(
        "none", description="store of the keys"
    )
    file: Path | None = Field(None, description="file: the keyring, mode 0600")
    variable: str = Field("ECAP_KEYRING", description="environment: the variable that holds it")
    secret: str = Field("ecap-keyring/keyring", description="kubernetes: name/key of the Secret")
    path: str = Field("ecap/keyring", description="vault: path of the secret")
    transit_key: str | None = Field(
        None, description="Vault transit key that wraps the keys; unset: stored as they are"
    )
    transit_mount: str = Field("transit", description="mount of the transit engine")
    max_age_s: int = Field(90 * 86400, ge=60, description="an older first key is reported")
    poll_s: float = Field(5.0, gt=0, description="between looks for changed keys")
    trust_s: float = Field(
        3600.0,
        gt=0,
        description="a process that could not look for this long encrypts no more,"
        " and a key is retired no sooner after the next took over",
    )

    @model_validator(mode="after")
    def _looked_in_time(self) -> Self:
        if self.trust_s < 2 * self.poll_s:
            raise ValueError("trust_s has to be at least two poll_s")
        return self


class Hub(Section):
    """How a change reaches every member."""

    hold_s: float = Field(2.0, gt=0, description="a member is answered at least this often")
    stale_after_s: float = Field(
        10.0, gt=0, description="a member silent for this long is not waited for"
    )
    callback_timeout_s: float = Field(5.0, gt=0, description="for one subscriber to take a change")
    retry_s: float = Field(1.0, gt=0, description="between attempts of a member that lags")
    debounce_s: float = Field(0.02, ge=0, description="quiet time after a file event")
    file_poll_s: float = Field(5.0, gt=0, description="files are looked at even without an event")

    @model_validator(mode="after")
    def _patient(self) -> Self:
        if self.stale_after_s <= self.hold_s + self.callback_timeout_s:
            raise ValueError("stale_after_s has to exceed hold_s and callback_timeout_s together")
        return self
