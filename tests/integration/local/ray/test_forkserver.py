"""The server that forks Ray's workers, as the raylet and Ray's own programs see it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray._private.workers import setup_worker

from ecap.local.ray import forked_worker

_FACTS = """
import gc, json, os, random, sys
from ray._raylet import WorkerID
from ecap.domain.values.ids import new_id
from ecap.mesh import Trace
def generators():
    gc.unfreeze()
    every = [one for one in gc.get_objects() if isinstance(one, random.Random)]
    return [one for one in every if not isinstance(one, random.SystemRandom)]
print(json.dumps({
    "name": __name__, "argv": sys.argv, "path": sys.path[0], "cwd": os.getcwd(),
    "given": os.environ.get("GIVEN"), "own": "OWN" in os.environ, "pid": os.getpid(),
    "parent": os.getppid(), "group": os.getpgid(0), "stdin": sys.stdin.read(),
    "id": str(new_id()), "ray": WorkerID.from_random().hex(),
    "random": random.random(), "urandom": os.urandom(8).hex(), "trace": Trace.new(),
    "states": sorted({str(hash(one.getstate())) for one in generators()}),
    "imported": "ecap.serve.orders.routes" in sys.modules and "ray" in sys.modules,
    "oom": open("/proc/self/oom_score_adj").read().strip(),
}), file=sys.stderr)
print("to standard output")
"""
_LAST_WORD_S = 30.0


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[bytes]
    socket: Path
    folder: Path


@contextmanager
def running(**environ: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="ecap-fork-", dir="/tmp") as name:
        folder = Path(name)
        path = folder / "fork.sock"
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ecap.local.ray.forkserver", str(path)],
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OWN": "1", **environ},
                stdin=subprocess.PIPE,
                stderr=log,
            )
        try:
            while not path.exists():
                assert process.poll() is None
            yield Server(process, path, folder)
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as found:
        yield found


def ask(server: Server, script: str, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """What the worker program prints that a fork of `server` runs, and its process id."""
    program = server.folder / "default_worker.py"
    program.write_text(script)
    started = [sys.executable, forked_worker.__file__, str(program), *arguments]
    done = subprocess.run(
        started,
        env={**os.environ, forked_worker.SOCKET: str(server.socket), "GIVEN": "here"},
        cwd=server.folder,
        input=stdin,
        capture_output=True,  # until the fork has closed them too
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def facts(server: Server, *arguments: str) -> dict[str, Any]:
    code, out, err = ask(server, _FACTS, *arguments, stdin="words")
    assert (code, out) == (0, "to standard output\n"), err
    found: dict[str, Any] = json.loads(err)
    return found


def test_a_fork_is_what_a_started_program_would_be(server: Server) -> None:
    found = facts(server, "--one", "two words")
    program = str(server.folder / "default_worker.py")
    assert found["name"] == "__main__"
    assert found["argv"] == [program, "--one", "two words"]
    assert found["path"] == found["cwd"] == str(server.folder)
    assert (found["given"], found["own"]) == ("here", False)
    assert found["stdin"] == "words"
    # The raylet ends a worker's whole group: it must be nobody else's.
    assert found["group"] == found["pid"]
    assert found["parent"] == server.process.pid
    assert found["oom"] == "1000"
    assert found["imported"]


def test_forks_share_no_randomness(server: Server) -> None:
    """Ray takes two tasks of one id for a fault of its own, and ends the process."""
    one, two = facts(server), facts(server)
    for name in ("pid", "ray", "random", "urandom"):
        assert one[name] != two[name]
    # A UUIDv7 begins with the time: the rest has to differ as well.
    assert one["id"][-12:] != two["id"][-12:]
    assert one["trace"][0] != two["trace"][0]
    assert one["trace"][1] != two["trace"][1]
    # Whatever else draws: each generator that was there before the fork has a seed of its own.
    assert one["states"]
    assert not set(one["states"]) & set(two["states"])


def test_a_worker_of_another_environment_starts_in_a_folder_with_a_space(tmp_path: Path) -> None:
    """Ray's own program for it, and the interpreter of an environment in such a folder."""
    folder = tmp_path / "a folder; with $signs"
    folder.mkdir()
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o700)
    shutil.copy(Path(setup_worker.__file__), folder)
    program = folder / "default_worker.py"
    program.write_text("import os, sys; print(os.environ['GIVEN'], sys.argv[1:])")
    context = json.dumps({**_PLAIN, "py_executable": str(python), "env_vars": {"GIVEN": "here"}})
    done = subprocess.run(
        [
            *(sys.executable, forked_worker.__file__, str(program), "--language=PYTHON"),
            *(f"--serialized-runtime-env-context={context}", "--x=a b"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "here ['--x=a b']\n", done.stderr


def test_a_fork_that_has_ended_is_gone(server: Server) -> None:
    """A zombie would look alive to the raylet."""
    pid = facts(server)["pid"]
    psutil.wait_procs([p for p in psutil.process_iter() if p.pid == pid], timeout=_LAST_WORD_S)
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("files", [[], [0, 1], [0, 1, 2]])
@pytest.mark.parametrize("text", [b"", b"no json", b"{}", b"[1]", b"x" * (2 << 20)])
def test_what_it_cannot_read_does_not_end_it(server: Server, text: bytes, files: list[int]) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server.socket))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sent = socket.send_fds(connection, [text], files)
            connection.sendall(text[sent:])
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
    assert server.process.poll() is None


def test_it_keeps_no_file_of_a_worker(server: Server) -> None:
    """Whoever reads the worker's output waits for all who may write to it."""
    facts(server)
    before = set(os.listdir(f"/proc/{server.process.pid}/fd"))
    test_what_it_cannot_read_does_not_end_it(server, b"{}", [0, 1, 2])
    facts(server)
    assert set(os.listdir(f"/proc/{server.process.pid}/fd")) == before


def test_who_waits_no_longer_gets_no_worker() -> None:
    """It has started one in another way: the fork would be a second of the same name."""
    with running() as server:
        program = server.folder / "default_worker.py"
        program.write_text("import os; open('ran', 'w')")
        question = {"argv": [str(program)], "environ": {}, "cwd": str(server.folder)}
        with socket.socket(socket.AF_UNIX) as gone:
            gone.connect(str(server.socket))
            socket.send_fds(gone, [json.dumps(question).encode()], [0, 1, 2])
        facts(server)  # the next in line
        assert not (server.folder / "ran").exists()


def test_it_ends_with_its_owner() -> None:
    with running() as server:
        facts(server)
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(_LAST_WORD_S) == 0


def test_it_refuses_to_fork_with_threads() -> None:
    with running(OPENBLAS_NUM_THREADS="2") as server:
        assert server.process.wait(_LAST_WORD_S) == 1
        assert "threads after the imports" in (server.folder / "log").read_text()


@pytest.mark.parametrize("address", ["nobody.sock", ""])
def test_without_it_a_worker_starts_as_ray_would(tmp_path: Path, address: str) -> None:
    (tmp_path / "setup_worker.py").write_text("import sys; print(sys.argv[1:])")
    arguments = [str(tmp_path / "default_worker.py"), "--language=PYTHON", "--x=a b"]
    environ = {k: v for k, v in os.environ.items() if k != forked_worker.SOCKET}
    if address:
        environ[forked_worker.SOCKET] = str(tmp_path / address)
    done = subprocess.run(
        [sys.executable, forked_worker.__file__, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{arguments}\n"
    assert "no worker from the fork server" in done.stderr


_PLAIN = {"command_prefix": [], "env_vars": {}, "py_executable": sys.executable, "java_jars": []}


@pytest.mark.parametrize(
    ("context", "plain"),
    [
        (None, True),
        ({}, True),
        (_PLAIN, True),
        ({**_PLAIN, "py_executable": "/usr/bin/other"}, False),
        ({**_PLAIN, "env_vars": {"ECAP_BATCH": "1"}}, False),
        ({**_PLAIN, "command_prefix": ["cd /elsewhere &&"]}, False),
        ({**_PLAIN, "override_worker_entrypoint": "/x.py"}, False),
    ],
)
def test_only_a_worker_of_the_usual_environment_is_forked(context: Any, plain: bool) -> None:
    arguments = ["/ray/default_worker.py", "--language=PYTHON", "--worker-id=1"]
    if context is not None:
        arguments.insert(1, f"--serialized-runtime-env-context={json.dumps(context)}")
    expected = ["/ray/default_worker.py", "--worker-id=1"] if plain else None
    assert forked_worker.plain(arguments) == expected


def test_no_worker_of_another_language_is_forked() -> None:
    assert forked_worker.plain(["/ray/default_worker.py", "--language=JAVA"]) is None
