"""Only secrets are read from stores, and files only where they may be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.config.hub.cluster import Cluster
from virtual_time import run

from ecap.config import load
from ecap.config.hub.desk import Desk
from ecap.config.layers import schema
from ecap.config.layers.overrides import Edit
from ecap.config.layers.references import parse
from ecap.config.secrets.folders import MOST_BYTES, SecretFiles
from ecap.errors import Misconfigured

REFERENCES = ("vault:ecap/auth#admin_password", "file:/etc/passwd", "k8s:db/password", "enc:token")


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("key", ["smtp.host", "http.cors.origins", "auth.admin_email"])
def test_a_trial_reads_no_reference(key: str, reference: str) -> None:
    """It answered the administrator's password to whoever may read settings."""

    async def main() -> None:
        cluster = Cluster()
        cluster.secrets.values[parse(reference, where="").name] = "canary-1234"
        try:
            hub = await cluster.start_hub()
            await hub.started()
            desk = Desk(hub, cluster.history)
            value = [reference] if key.endswith("origins") else reference
            told = await desk.validate(Edit({key: value}))
            assert f"{key} is no secret, so it takes no reference" in told["problem"]
            assert "canary" not in repr(told)
            told = await desk.validate(Edit({"smtp.password": reference}))
            assert told["problem"] is None
            assert told["changes"]["smtp.password"] == {"from": None, "to": "(secret)"}
            assert "canary" not in repr([told, await cluster.entries()])
        finally:
            await cluster.stop()

    run(main())


def test_a_trial_asks_no_source() -> None:
    async def main() -> None:
        cluster = Cluster()
        try:
            hub = await cluster.start_hub()
            await hub.started()
            cluster.secrets.away = True
            told = await Desk(hub, cluster.history).validate(Edit({"smtp.password": "vault:no#no"}))
            assert told["problem"] is None
        finally:
            await cluster.stop()

    run(main())


def test_no_setting_but_secrets_takes_a_reference(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("")
    (tmp_path / "development.yaml").write_text("")
    (tmp_path / "pw").write_text("canary-1234")
    environ = {"ECAP_CONFIG_DIR": str(tmp_path), "ECAP__SECRETS__FOLDERS": f"[{tmp_path}]"}
    for key, setting in schema.settings().items():
        if setting.secret or not setting.mentions(str) or "*" in key:
            continue
        if key == "environment":
            continue
        name = "ECAP__" + key.upper().replace(".", "__")
        reference = f"file:{tmp_path}/pw"
        text = reference if schema.is_text(key) else f"['{reference}']"
        with pytest.raises(Misconfigured, match="takes no reference") as caught:
            load({**environ, name: text})
        assert key in caught.value.detail
        assert "canary" not in caught.value.detail


def test_what_a_placeholder_brings_is_no_exception(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("smtp: {host: '${MAIL}'}")
    (tmp_path / "development.yaml").write_text("")
    with pytest.raises(Misconfigured, match=r"base\.yaml:1: smtp\.host is no secret"):
        load({"ECAP_CONFIG_DIR": str(tmp_path), "MAIL": "file:/etc/passwd"})


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "outside").write_text("canary-1234")
    return tmp_path / "shelf"


def text(shelf: Path, target: str) -> str:
    return SecretFiles((shelf,)).text(parse(f"file:{target}", where=""), where="here")


def test_a_mounted_secret_is_read_through_its_links(shelf: Path) -> None:
    (shelf / "..1").mkdir()
    (shelf / "..1" / "pw").write_text("one")
    (shelf / "..data").symlink_to("..1")
    (shelf / "pw").symlink_to("..data/pw")
    assert text(shelf, f"{shelf}/pw") == "one"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda at: (at / "x").symlink_to(at.parent / "outside"), "not below secrets.folders"),
        (lambda at: os.mkfifo(at / "x"), "is no regular file"),
        (lambda at: (at / "x").symlink_to("/dev/zero"), "not below secrets.folders"),
        (lambda at: (at / "x").mkdir(), "Is a directory"),
        (lambda at: (at / "x").symlink_to("x"), "cannot read the secret file"),
        (lambda at: (at / "x").write_bytes(b"x" * (MOST_BYTES + 1)), "is larger than"),
        (lambda at: (at / "x").write_bytes(b"\xff\xfe"), "is not UTF-8"),
        (lambda at: None, "No such file"),
    ],
)
def test_what_is_no_file_of_text_is_refused(
    shelf: Path, make: Callable[[Path], None], said: str
) -> None:
    make(shelf)
    with pytest.raises(Misconfigured, match=f"^here: .*{said}"):
        text(shelf, f"{shelf}/x")


@pytest.mark.parametrize(
    "target", ["{}/../outside", "/etc/passwd", "/no/such", "x", "{}/\0", "~/x"]
)
def test_elsewhere_nothing_is_read(shelf: Path, target: str) -> None:
    """And whether there is a file elsewhere is not said."""
    with pytest.raises(Misconfigured, match=r"^here: ") as caught:
        text(shelf, target.format(shelf))
    assert "canary" not in caught.value.detail
    if "\0" not in target:
        assert "is not below secrets.folders" in caught.value.detail


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_line_ends_behind_a_secret_are_no_part_of_it(tmp_path: Path, end: str) -> None:
    """As editors, `echo` and `kubectl --from-file` leave them; in every store alike."""
    (tmp_path / "base.yaml").write_text(f"smtp: {{password: 'file:{tmp_path}/pw'}}")
    (tmp_path / "development.yaml").write_text("")
    (tmp_path / "pw").write_bytes(f" a\r\nb{end}".encode())
    environ = {"ECAP_CONFIG_DIR": str(tmp_path), "ECAP__SECRETS__FOLDERS": f"[{tmp_path}]"}
    found = load({**environ, "ECAP__POSTGRES__PASSWORD": f"x{end}"})
    assert found.smtp.password is not None
    assert found.smtp.password.get_secret_value() == " a\r\nb"
    assert found.postgres.password is not None
    assert found.postgres.password.get_secret_value() == "x"


@pytest.mark.parametrize("scheme", ["vault:a#b", "k8s:a/b", "enc:x", "file:/x"])
def test_line_ends_are_stripped_of_every_store_by_the_hub(scheme: str) -> None:
    async def main() -> None:
        cluster = Cluster()
        cluster.secrets.values[parse(scheme, where="").name] = "hunter2\r\n"
        try:
            hub = await cluster.start_hub()
            await hub.started()
            await hub.edit(Edit({"smtp.password": scheme}), author="ann", reason="")
            password = hub.accepted().settings.smtp.password
            assert password is not None
            assert password.get_secret_value() == "hunter2"
        finally:
            await cluster.stop()

    run(main())


def test_a_secret_that_looks_like_a_reference_is_hidden() -> None:
    """It was shown, or ended the answer when it was none that can be read."""

    async def main() -> None:
        cluster = Cluster()
        cluster.secrets.values["vault:a#b"] = "vault:canary"
        cluster.secrets.values["vault:a#c"] = "file:/canary"
        try:
            hub = await cluster.start_hub()
            await hub.started()
            desk = Desk(hub, cluster.history)
            for item in ("b", "c"):
                edit = Edit({"smtp.password": f"vault:a#{item}"})
                await hub.edit(edit, author="ann", reason="")
                told = [await desk.settings(""), await desk.setting("smtp.password")]
                told += [await desk.history(before=None, limit=50)]
                told += [await desk.diff(1, hub.accepted().version)]
                assert "canary" not in repr(told)
        finally:
            await cluster.stop()

    run(main())
