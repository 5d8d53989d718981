from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from ecap.cli.demo import app
from ecap.local.state import runtime
from ecap.local.state.folder import open_state
from ecap.local.state.runtime import Runtime


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECAP__STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_without_anything_running_it_says_what_to_start(state_dir: Path) -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 3
    assert "make up" in result.stderr
    assert not state_dir.exists()


def test_what_was_stopped_does_not_run(state_dir: Path) -> None:
    state = open_state(state_dir)
    state.create()
    with state.lock():
        pass
    assert CliRunner().invoke(app, []).exit_code == 3


def test_while_it_starts_it_says_so(state_dir: Path) -> None:
    state = open_state(state_dir)
    state.create()
    starting = Runtime(state_dir=str(state_dir), owner=1, started_at=0.0, ports={"http": 1})
    with state.lock():
        runtime.write(state, starting)
        result = CliRunner().invoke(app, [])
        assert result.exit_code == 3
        assert "still starting" in result.stderr
        # Ready, as its own file says, but nobody answers at the front door.
        runtime.write(state, msgspec.structs.replace(starting, ready_s=1.0))
        result = CliRunner().invoke(app, [])
        assert result.exit_code == 3
        assert "ecap: " in result.stderr
