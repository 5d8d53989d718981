"""`ecap config` and `ecap secrets` as a person or a program calls them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.config.bao import Bao
from integration.config.config_tables import emptied

from ecap.clients.config_history import PostgresHistory
from ecap.clients.postgres import open_pool
from ecap.config import Settings
from ecap.config.hub.hub import Hub
from ecap.config.layers.overrides import Edit
from ecap.config.secrets.keyring import live
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import FileKeyring, Plain
from ecap.config.secrets.readers import SecretReaders
from ecap.config.sources import startup
from ecap.errors import EcapError
from ecap.local.state.runtime import Runtime

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    found = Keyring([new_key(now=time.time())])
    FileKeyring(tmp_path / "keyring", Plain()).save(found, revision=None)
    return found


@pytest.fixture
def environ(tmp_path: Path, servers: Runtime, ring: Keyring) -> dict[str, str]:
    return {
        **servers.environ,
        "ECAP__STATE_DIR": str(tmp_path / "state"),
        "ECAP__KEYRING__SOURCE": "file",
        "ECAP__KEYRING__FILE": str(tmp_path / "keyring"),
        "ECAP__SMTP__PASSWORD": "planted-in-the-environment",
    }


@pytest.fixture
def ecap(environ: dict[str, str], tmp_path: Path) -> Run:
    outside = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}

    def run(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        found = subprocess.run(
            [sys.executable, "-m", "ecap.cli.main", *arguments],
            env={**outside, **environ, **more},
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "planted" not in found.stdout + found.stderr
        return found

    return run


@pytest.fixture
async def history(settings: Settings, environ: dict[str, str], ring: Keyring) -> None:
    """Three versions, the last one refused."""
    async with open_pool(settings.postgres, service="test") as pool:
        await emptied(pool)
        layers = startup.layers(environ)
        hub = Hub(
            history=PostgresHistory(pool),
            keys=await live.found(startup.load(environ), environ, clock=time.monotonic),
            secrets=SecretReaders({"vault": _stub}),
            environ=environ,
            given={k: v for k, v in layers.items() if k != "defaults"},
            boot_id="one",
            clock=asyncio.get_running_loop().time,
            wall=time.time,
        )
        running = asyncio.create_task(hub.run(), name="hub")
        await hub.edit(Edit({"fraud.deny_score": 90}), author="ann", reason="too many alarms")
        with pytest.raises(EcapError):
            await hub.edit(Edit({"http.port": 1}), author="bob", reason="why not")
        running.cancel()
        await asyncio.wait({running})


async def _stub(reference: Any, where: str) -> str:
    return "planted-in-vault"


async def test_what_runs_is_explained(ecap: Run, history: None) -> None:
    found = await asyncio.to_thread(ecap, "config", "explain", "fraud.deny_score", "--json")
    assert found.returncode == 0, found.stderr
    said = json.loads(found.stdout)
    assert (said["value"], said["source"], said["since_version"]) == (90, "override", 2)
    assert said["place"] == "set by ann: too many alarms"
    assert said["hides"][0] | {"place": ""} == {"source": "defaults", "value": 80, "place": ""}
    people = await asyncio.to_thread(ecap, "config", "explain", "http.port")
    assert "live: no: the listener is bound" in people.stdout
    assert "\x1b" not in people.stdout
    wrong = await asyncio.to_thread(ecap, "config", "explain", "fraud.deny_scor")
    assert (wrong.returncode, "did you mean fraud.deny_score" in wrong.stderr) == (1, True)


async def test_get_hides_secrets(ecap: Run, history: None) -> None:
    found = await asyncio.to_thread(ecap, "config", "get", "--json")
    said = json.loads(found.stdout)
    assert said["version"] == 2
    assert said["settings"]["smtp.password"] == "(secret)"
    assert said["settings"]["fraud.deny_score"] == 90
    section = await asyncio.to_thread(ecap, "config", "get", "fraud")
    assert "fraud.deny_score = 90\n" in section.stdout
    assert "orders" not in section.stdout


async def test_history_and_diff(ecap: Run, history: None) -> None:
    found = await asyncio.to_thread(ecap, "config", "history", "--json")
    entries = json.loads(found.stdout)
    kinds = ["booted", "proposed", "applied", "settled", "refused"]
    assert [entry["kind"] for entry in entries] == kinds
    people = await asyncio.to_thread(ecap, "config", "history")
    assert "5 entries, unaltered" in people.stdout
    versions = await asyncio.to_thread(ecap, "config", "diff", "1", "2", "--json")
    assert versions.returncode == 1
    assert json.loads(versions.stdout) == {"fraud.deny_score": {"from": 80, "to": 90}}
    same = await asyncio.to_thread(ecap, "config", "diff", "2", "2")
    assert (same.returncode, same.stdout) == (0, "no difference\n")
    files = await asyncio.to_thread(ecap, "config", "diff", "development", "production", "--json")
    assert json.loads(files.stdout)["log.style"] == {"from": "auto", "to": "json"}


async def test_status(ecap: Run, history: None) -> None:
    found = await asyncio.to_thread(ecap, "config", "status", "--json")
    assert found.returncode == 0, found.stdout + found.stderr
    said = json.loads(found.stdout)
    assert said["version"] == 2
    assert {s["source"]: s["reachable"] for s in said["sources"]} == {
        "files": True, "environment": True, "vault": True,
    }  # fmt: skip
    assert said["keyring"]["too_old"] is False
    away = await asyncio.to_thread(
        ecap, "config", "status", "--json", ECAP__VAULT__ADDRESS="http://127.0.0.1:9"
    )
    assert away.returncode == 1
    assert not json.loads(away.stdout)["sources"][2]["reachable"]


def test_validate_says_file_and_line(ecap: Run, tmp_path: Path) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    for name in ("base", "development", "staging"):
        (folder / f"{name}.yaml").write_text("")
    (folder / "production.yaml").write_text("orders:\n  curency: EUR\n")
    found = ecap("config", "validate", ECAP_CONFIG_DIR=str(folder))
    assert found.returncode == 1
    assert "development: valid" in found.stdout
    assert "production.yaml:2: orders.curency: no such setting" in found.stdout
    assert ecap("config", "validate").returncode == 0


async def test_a_secret_that_is_put_is_in_the_security_log(
    ecap: Run,
    bao: Bao,
    settings: Settings,
    environ: dict[str, str],
    tmp_path: Path,
    history: None,
) -> None:
    found = bao.settings()
    kept = tmp_path / "state/secrets/kept"  # where a secret's file may lie
    kept.parent.mkdir(parents=True)
    assert settings.postgres.password is not None
    kept.write_text(settings.postgres.password.get_secret_value())
    vault = {
        **{name: f"file:{kept}" for name, value in environ.items() if value.startswith("vault:")},
        "ECAP__VAULT__ADDRESS": str(found.address),
        "ECAP__VAULT__ROLE_ID": str(found.role_id),
        "ECAP__VAULT__SECRET_ID_FILE": str(found.secret_id_file),
    }
    name = f"key-{time.time_ns()}"
    put = await asyncio.to_thread(ecap, "secrets", "put", "cli/y", name, stdin="hunter2", **vault)
    assert put.returncode == 0, put.stderr
    rotated = await asyncio.to_thread(ecap, "secrets", "rotate-keys", **vault)
    assert rotated.returncode == 0, rotated.stderr
    async with open_pool(settings.postgres, service="test") as pool:
        rows = await pool.fetch("SELECT key, body FROM config.outbox ORDER BY seq DESC LIMIT 2")
    assert rows[1]["key"] == f"vault:cli/y#{name}"
    assert b'"secret.written"' in rows[1]["body"]
    assert b"hunter2" not in rows[1]["body"]
    assert b'"keys.rotated"' in rows[0]["body"]


def test_secrets_are_put_from_stdin(ecap: Run, bao: Bao) -> None:
    settings = bao.settings()
    vault = {
        "ECAP__VAULT__ADDRESS": str(settings.address),
        "ECAP__VAULT__ROLE_ID": str(settings.role_id),
        "ECAP__VAULT__SECRET_ID_FILE": str(settings.secret_id_file),
    }
    put = ecap("secrets", "put", "cli/x", "password", stdin="hunter2\n", **vault)
    assert (put.returncode, put.stdout) == (0, "vault:cli/x#password\n"), put.stderr
    assert ecap("secrets", "put", "cli/x", "other", stdin="3", **vault).returncode == 0
    assert ecap("secrets", "get", "cli/x", "password", **vault).stdout == "hunter2\n"
    assert ecap("secrets", "get", "cli/x", "none", **vault).returncode == 1
    assert ecap("secrets", "put", "cli/x", "password", stdin="", **vault).returncode == 1


async def test_rotating_keys_encrypts_everything_again(
    ecap: Run, tmp_path: Path, history: None
) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    for name in ("development", "staging", "production"):
        (folder / f"{name}.yaml").write_text("")
    (folder / "base.yaml").write_text("")
    here = {
        "ECAP_CONFIG_DIR": str(folder),
        "ECAP__KEYRING__POLL_S": "0.1",
        "ECAP__KEYRING__TRUST_S": "0.5",
    }
    put = await asyncio.to_thread(ecap, "secrets", "put", "--enc", stdin="s3", **here)
    assert put.stdout.startswith("enc:")
    (folder / "base.yaml").write_text(f"webhook: {{signing_key: '{put.stdout.strip()}'}}\n")
    held = {**here, "ECAP__HTTP__METRICS_TOKEN": put.stdout.strip()}
    refused = await asyncio.to_thread(ecap, "secrets", "rotate-keys", "--retire", **held)
    assert refused.returncode == 1
    said = "an older key is still needed, nothing was retired. the environment variable"
    assert f"{said} ECAP__HTTP__METRICS_TOKEN: set what" in refused.stderr
    status = await asyncio.to_thread(ecap, "secrets", "status", "--json", **held)
    assert len(json.loads(status.stdout)) == 2
    rotated = await asyncio.to_thread(ecap, "secrets", "rotate-keys", "--retire", **here)
    assert rotated.returncode == 0, rotated.stderr
    assert "3 values encrypted again; 1 keys in the ring" in rotated.stdout
    assert put.stdout.strip() not in (folder / "base.yaml").read_text()
    found = await asyncio.to_thread(ecap, "config", "get", "fraud.deny_score", **here)
    assert found.stdout == "fraud.deny_score = 90\n"
    status = await asyncio.to_thread(ecap, "secrets", "status", "--json", **here)
    assert len(json.loads(status.stdout)) == 1


async def test_an_override_is_removed_while_nothing_runs(
    ecap: Run, history: None, settings: Settings
) -> None:
    offline = ("config", "unset", "fraud.deny_score", "--offline", "--reason", "it keeps all down")
    # The pool of a hub that is still there.
    async with open_pool(settings.postgres, service="config") as pool:
        await pool.ping()
        refused = await asyncio.to_thread(ecap, *offline)
        assert refused.returncode == 1
        assert "a configuration hub is connected" in refused.stderr
    done = await asyncio.to_thread(ecap, *offline)
    assert done.returncode == 0, done.stderr
    assert "fraud.deny_score is no longer set: version 4, from the next start on" in done.stdout
    found = await asyncio.to_thread(ecap, "config", "get", "fraud.deny_score")
    assert found.stdout == "fraud.deny_score = 80\n"
    told = await asyncio.to_thread(ecap, "config", "history")
    assert "unaltered" in told.stdout
    assert "offline: " in told.stdout
    again = await asyncio.to_thread(ecap, *offline)
    assert again.returncode == 1
    assert "has no override" in again.stderr
    wrong = await asyncio.to_thread(ecap, *offline[:2], "fraud.deny", *offline[3:])
    assert "did you mean" in wrong.stderr


async def test_a_hub_goes_on_from_what_was_removed(
    ecap: Run, history: None, settings: Settings, environ: dict[str, str]
) -> None:
    arguments = ("config", "unset", "fraud.deny_score", "--offline", "--reason", "x", "--json")
    done = await asyncio.to_thread(ecap, *arguments)
    assert json.loads(done.stdout) == {"key": "fraud.deny_score", "version": 4}
    async with open_pool(settings.postgres, service="test") as pool:
        layers = startup.layers(environ)
        for boot_id in ("one", "two"):
            hub = Hub(
                history=PostgresHistory(pool),
                keys=await live.found(startup.load(environ), environ, clock=time.monotonic),
                secrets=SecretReaders({"vault": _stub}),
                environ=environ,
                given={k: v for k, v in layers.items() if k != "defaults"},
                boot_id=boot_id,
                clock=asyncio.get_running_loop().time,
                wall=time.time,
            )
            running = asyncio.create_task(hub.run(), name="hub")
            await hub.started()
            assert hub.accepted().settings.fraud.deny_score == 80
            assert hub.accepted().overrides == {}
            running.cancel()
            await asyncio.wait({running})
