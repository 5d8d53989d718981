"""Ray's workers as forks of one process that has imported everything.

A worker of Ray is a fresh interpreter that spends two to three seconds of a core on
imports, and `ecap up` needs some twenty. This process imports what they all import,
then forks one for each that the raylet asks for; they share its pages. The raylet
starts `forked_worker` (Ray's `setup_worker_path`), which asks here and ends; a worker
tells the raylet its own process id when it registers.

`python -m ecap.local.ray.forkserver SOCKET`; ends when its standard input does.
"""

from __future__ import annotations

import gc
import json
import os
import random
import runpy
import select
import selectors
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NamedTuple

_BACKLOG = 128
_QUESTION_BYTES = 1 << 20
_HEARD_S = 10.0
# What the raylet gives its workers: they go first when memory ends, the servers last.
_OOM_SCORE = "1000"
_ID_BYTES = 28


class Question(NamedTuple):
    argv: list[str]
    environ: dict[str, str]
    cwd: str


def listen(path: str) -> socket.socket:
    """Before the imports: who asks meanwhile waits, and does not start by itself."""
    listener = socket.socket(socket.AF_UNIX)
    made = f"{path}.new"
    listener.bind(made)
    os.chmod(made, 0o600)
    listener.listen(_BACKLOG)
    os.rename(made, path)  # whoever sees it can ask
    return listener


class _ClassIds:
    """In place of Ray's, which are random by a state of the process: seeded here, all
    forks would make the same ids. Remote classes have one from when they are imported."""

    @staticmethod
    def from_random() -> Any:
        from ray import ActorClassID  # late: the socket is there before Ray is imported

        return ActorClassID(os.urandom(_ID_BYTES))


def preload() -> None:
    """Raises RuntimeError when forking would not be safe: a fork has only one thread."""
    # Late, and in this order: the socket is there before the imports begin, and modules take
    # from others what the first of these replaces in them.
    from ecap.local.ray.worker import stay_on_loopback

    stay_on_loopback()
    import ray.actor

    actor: Any = ray.actor
    actor.ActorClassID, random_ids = _ClassIds, actor.ActorClassID
    from ecap.local.ray import preloaded  # noqa: F401

    actor.ActorClassID = random_ids
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise RuntimeError(f"{threads} threads after the imports: no worker can be forked")
    # Generators that are there by now, ours and those of libraries, would draw the same numbers
    # in every fork: all replicas made the ids of one trace.
    for found in gc.get_objects():
        if isinstance(found, random.Random):
            os.register_at_fork(after_in_child=found.seed)
    # Collecting would touch, and so copy, every page that is shared.
    gc.collect()
    gc.freeze()


def serve(listener: socket.socket) -> Question | None:
    """In the server None, when its owner has gone; in each fork what it is to run."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    with selectors.DefaultSelector() as waiting:
        waiting.register(listener, selectors.EVENT_READ)
        waiting.register(0, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in waiting.select()}
            if 0 in ready:
                return None
            connection, _ = listener.accept()
            with connection:
                question = _answer(connection, listener)
            if question is not None:
                return question


def _answer(connection: socket.socket, listener: socket.socket) -> Question | None:
    """Whatever goes wrong, the worker starts as Ray would start it."""
    connection.settimeout(_HEARD_S)
    files: list[int] = []
    question, pid = None, -1
    try:
        question = _received(connection, files)
        if not _left(connection):
            pid = os.fork()
            if pid > 0:
                connection.sendall(str(pid).encode())
    except (OSError, ValueError, TypeError, LookupError) as exc:
        print(f"a worker is not forked: {exc!r}", file=sys.stderr, flush=True)
    if pid == 0:
        assert question is not None
        listener.close()
        _become(question, files)
        return question
    for fd in files:
        os.close(fd)
    return None


def _left(connection: socket.socket) -> bool:
    """Who waited too long has started a worker in another way; two would be one too many."""
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(0))


def _received(connection: socket.socket, files: list[int]) -> Question:
    """Adds the open files that came with the question."""
    head, found, _, _ = socket.recv_fds(connection, _QUESTION_BYTES, 3)
    files += found
    text = bytearray(head)
    while more := connection.recv(_QUESTION_BYTES):
        text += more
        if len(text) > _QUESTION_BYTES:
            raise ValueError("too long")
    if len(files) != 3:
        raise ValueError("three open files are needed")
    asked = json.loads(text)
    return Question(asked["argv"], asked["environ"], asked["cwd"])


def _become(question: Question, files: list[int]) -> None:
    """What a started process has of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, fd in enumerate(files):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environ.update(question.environ)
    os.chdir(question.cwd)
    # The raylet ends a worker together with its process group.
    os.setpgid(0, 0)
    Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def run(question: Question) -> None:
    """As `python SCRIPT ARGUMENTS` would."""
    script = question.argv[0]
    sys.argv = list(question.argv)
    sys.path[0] = str(Path(script).parent)
    gc.enable()
    runpy.run_path(script, run_name="__main__")


def main() -> None:
    listener = listen(sys.argv[1])
    gc.disable()
    try:
        preload()
    except Exception:  # noqa: BLE001  whatever it is, workers can do without this process
        traceback.print_exc()
        sys.exit(1)
    question = serve(listener)
    if question is not None:
        run(question)


if __name__ == "__main__":
    main()
