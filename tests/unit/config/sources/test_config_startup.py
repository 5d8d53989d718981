"""Files, variables, placeholders and references into one frozen tree."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from ecap.config import Settings, load
from ecap.config.layers import placeholders, schema
from ecap.config.secrets.keyring.ring import Key, Keyring
from ecap.config.sources import startup
from ecap.errors import Invalid, Misconfigured

Folder = Callable[..., dict[str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    def write(base: str = "", environment: str = "", **environ: str) -> dict[str, str]:
        (tmp_path / "base.yaml").write_text(base)
        (tmp_path / "development.yaml").write_text(environment)
        there = {"ECAP_CONFIG_DIR": str(tmp_path), "ECAP__SECRETS__FOLDERS": f"[{tmp_path}, /no]"}
        return {**there, **environ}

    return write


def test_each_layer_hides_the_one_below(folder: Folder) -> None:
    base = "orders: {currency: EUR, max_lines: 7, max_quantity: 8}"
    above = "orders: {max_lines: 9, max_quantity: 10}"
    found = load(folder(base, above, ECAP__ORDERS__MAX_QUANTITY="11")).orders
    assert (found.currency, found.max_lines, found.max_quantity) == ("EUR", 9, 11)
    assert found.idempotency_ttl_s == 86400


def test_half_a_section_keeps_the_rest_of_its_default(folder: Folder) -> None:
    found = load(folder("limits: {address: {rate_per_s: 7}}")).limits.address
    assert (found.rate_per_s, found.burst) == (7, 1000)


def test_a_null_hides_the_value_below(folder: Folder) -> None:
    assert load(folder("webhook: {url: https://a}", "webhook: {url: null}")).webhook.url is None


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("orders: {curency: EUR}", r"base\.yaml:1: orders\.curency: .*mean orders\.currency"),
        ("oders: {currency: EUR}", r"oders: no such setting; did you mean orders"),
        ("http: {port: 99999}", r"base\.yaml:1: http\.port: .*65535"),
        ("http: {port: many}", r"base\.yaml:1: http\.port: .*integer"),
        ("http: 7", r"base\.yaml:1: http: "),
        ("orders: {max_lines: '${NOT_SET}'}", r"yaml:1: orders\.max_lines: .*NOT_SET is not set"),
        ("orders: {currency: '${A}'}", r"refer to each other: A -> B -> A"),
        ("orders: {currency: '${A:'}", r"no closing"),
        ("auth: {admin_password: canary-1234}", r"yaml:1: auth\.admin_password is a secret: store"),
        ("auth: {admin_password: 'vault:x'}", r"yaml:1: .*: write it as vault:path#key"),
        ("auth: {admin_password: 'vault:x#y'}", r"auth\.admin_password refers to Vault, but vault"),
        ("auth: {admin_password: 'file:/no/such'}", r"admin_password: cannot read .*/no/such"),
        ("auth: {admin_password: 'k8s:x/y'}", r"admin_password: k8s:x/y is read by the hub"),
        ("auth: {admin_password: 'enc:x'}", r"there is no keyring: set keyring\.source"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_place(folder: Folder, base: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message) as caught:
        load(folder(base, A="${B}", B="${A}"))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${NO:two}", "two"),
        ("${NO:}", ""),
        ("${NO:http://h:1/}", "http://h:1/"),
        ("${NO:${A}}", "1"),
        ("$${A}", "${A}"),
        ("${DEEP}", "<1>"),
        ("$A {A}", "$A {A}"),
    ],
)
def test_placeholders(text: str, expected: str) -> None:
    environ = {"A": "1", "DEEP": "<${A}>"}
    assert placeholders.expand(text, environ, where="here") == expected


def test_a_name_inside_a_variable_is_not_shown() -> None:
    with pytest.raises(Misconfigured) as caught:
        placeholders.expand("${PW}", {"PW": "x${canary}"}, where="here")
    assert "canary" not in str(caught.value)
    assert "PW" in str(caught.value)


def test_variables_are_values_not_templates(folder: Folder) -> None:
    found = load(folder(ECAP__AUTH__ADMIN_PASSWORD="a${b}c", ECAP__SMTP__PASSWORD="[x"))
    assert found.auth.admin_password is not None
    assert found.auth.admin_password.get_secret_value() == "a${b}c"
    assert found.smtp.password is not None
    assert found.smtp.password.get_secret_value() == "[x"


@pytest.mark.parametrize(
    "environ",
    [
        {"ECAP__ORDERS": "1", "ECAP__ORDERS__CURRENCY": "EUR"},
        {"ECAP__ORDERS____X": "1"},
        {"ECAP__HTTP__TRUSTED_PROXIES": "[canary"},
    ],
)
def test_bad_variables_are_refused(folder: Folder, environ: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match="ECAP__") as caught:
        load(folder(**environ))
    assert "canary" not in str(caught.value)


def test_lists_and_mappings_in_variables(folder: Folder) -> None:
    found = load(
        folder(ECAP__HTTP__CORS__ORIGINS="[http://a, http://b]", ECAP__FLAGS="{checkout: true}")
    )
    assert found.http.cors.origins == ("http://a", "http://b")
    assert found.flags == {"checkout": True}


def test_secrets_from_files_and_the_keyring(folder: Folder, tmp_path: Path) -> None:
    key = Fernet.generate_key().decode()
    (tmp_path / "keyring").write_text(key)
    (tmp_path / "keyring").chmod(0o600)
    (tmp_path / "pw").write_text("one\n")
    token = Keyring([Key(key)]).seal_text("two")
    base = (
        f"keyring: {{source: file, file: {tmp_path}/keyring}}\n"
        f"postgres: {{password: 'file:{tmp_path}/pw'}}\nsmtp: {{password: '{token}'}}\n"
        "auth: {admin_password: '${REF}'}"
    )
    found = load(folder(base, REF=f"file:{tmp_path}/pw"))
    assert found.postgres.password is not None
    assert found.postgres.password.get_secret_value() == "one"
    assert found.smtp.password is not None
    assert found.smtp.password.get_secret_value() == "two"
    assert found.auth.admin_password is not None
    assert found.auth.admin_password.get_secret_value() == "one"
    assert "two" not in repr(found)


def test_what_a_reference_stands_for_is_never_read_again(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("file:/etc/hostname")
    found = load(folder(f"auth: {{admin_password: 'file:{tmp_path}/pw'}}"))
    assert found.auth.admin_password is not None
    assert found.auth.admin_password.get_secret_value() == "file:/etc/hostname"


def test_the_tree_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().orders.max_lines = 3  # type: ignore[misc]


def test_reading_a_setting_costs_under_a_microsecond() -> None:
    found = Settings()
    best = min(timeit.repeat(lambda: found.orders.decision_timeout_s, number=10_000, repeat=5))
    assert best / 10_000 < 1e-6


@pytest.mark.parametrize("name", ["development", "staging", "production"])
def test_the_shipped_files_are_valid(name: str) -> None:
    assert load({"ECAP_ENVIRONMENT": name}, secrets=False).environment == name


def test_the_schema_knows_what_is_live_and_what_is_secret() -> None:
    for live in (
        "log.level", "limits.address.rate_per_s", "mesh.default.breaker.open_s",
        "mesh.callees.auth.timeout_s", "fraud.deny_score", "flags.checkout",
        "postgres.pool_max_size", "http.cors.origins", "services.orders.max_replicas",
    ):  # fmt: skip
        assert schema.find(live).fixed is None, live
    for fixed in ("http.port", "stream.shards.fraud", "kafka.bootstrap_servers", "environment"):
        assert schema.find(fixed).fixed, fixed
    assert schema.is_secret("postgres.password")
    assert not schema.is_secret("postgres.host")
    with pytest.raises(Invalid, match=r"did you mean fraud\.deny_score"):
        schema.find("fraud.deny_scor")


@pytest.fixture
def started(folder: Folder, tmp_path: Path) -> dict[str, str]:
    """Of a machine on which a process has started once."""
    state = tmp_path / "state"
    state.mkdir()
    environ = folder("orders: {max_lines: 7}", ECAP__STATE_DIR=str(state))
    assert load(environ).orders.max_lines == 7
    return environ


REFUSED = ["orders: {ordres: 5}", "orders: {max_lines: 0}", "orders: [", "orders: 7", "{"]


@pytest.mark.parametrize("text", REFUSED)
def test_a_refused_file_is_harmless_to_who_starts_again(
    started: dict[str, str], tmp_path: Path, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base.yaml").write_text(text)
    for secrets in (True, False):
        assert load(started, secrets=secrets).orders.max_lines == 7
    given, why = startup.usable_files(started)
    assert given["base"].values["orders.max_lines"].value == 7
    assert why is not None
    assert "base.yaml" in why
    (tmp_path / "base.yaml").write_text("orders: {max_lines: 8}")
    assert load(started).orders.max_lines == 8


@pytest.mark.parametrize("text", REFUSED)
def test_only_a_first_start_refuses(folder: Folder, tmp_path: Path, text: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with pytest.raises(Misconfigured):
        load(folder(text, ECAP__STATE_DIR=str(state)))
    assert list(state.iterdir()) == []


def test_what_is_kept_is_for_nobody_else_and_holds_no_secret(
    started: dict[str, str], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    (tmp_path / "base.yaml").write_text(f"smtp: {{password: 'file:{secret}'}}")
    password = load(started).smtp.password
    assert password is not None
    assert password.get_secret_value() == "hunter2"
    (kept,) = (tmp_path / "state" / "config").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert "hunter2" not in kept.read_text()
    # Another environment has started with nothing yet.
    (tmp_path / "staging.yaml").write_text("orders: {ordres: 5}")
    with pytest.raises(Misconfigured, match="ordres"):
        load({**started, "ECAP_ENVIRONMENT": "staging"})


def test_a_variable_that_is_wrong_is_no_fault_of_the_files(started: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match="ECAP__ORDERS__MAX_LINES"):
        load({**started, "ECAP__ORDERS__MAX_LINES": "0"})


def test_what_is_kept_may_be_broken(started: dict[str, str], tmp_path: Path) -> None:
    (kept,) = (tmp_path / "state" / "config").iterdir()
    kept.write_text("{")
    (tmp_path / "base.yaml").write_text("orders: {ordres: 5}")
    with pytest.raises(Misconfigured, match="ordres"):
        load(started)


def test_a_command_in_passing_makes_no_state_folder(folder: Folder, tmp_path: Path) -> None:
    load(folder("", ECAP__STATE_DIR=str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()
