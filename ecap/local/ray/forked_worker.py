"""What the raylet starts for a worker: asks the fork server for one, and ends.

Standard library only, so that it takes some milliseconds. A worker that needs another
environment or interpreter, or finds no fork server, starts as Ray would start it.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
from collections.abc import Sequence

SOCKET = "ECAP_FORK_SERVER"
_CONTEXT = "--serialized-runtime-env-context="
_LANGUAGE = "--language="
_WAIT_S = 60.0


def plain(arguments: Sequence[str]) -> list[str] | None:
    """The worker's script and arguments; None when it needs more than a fork."""
    rest = []
    for argument in arguments:
        if argument.startswith(_CONTEXT):
            context = json.loads(argument.removeprefix(_CONTEXT) or "{}")
            if context.pop("py_executable", None) not in (None, sys.executable) or any(
                context.values()
            ):
                return None
        elif argument.startswith(_LANGUAGE):
            if argument != f"{_LANGUAGE}PYTHON":
                return None
        else:
            rest.append(argument)
    return rest if rest and rest[0].endswith(".py") else None


def quoted(argument: str) -> str:
    """Ray pastes the interpreter of an environment into a line for bash as it is: in a folder
    with a space no worker would start, and whoever waits for it would wait for ever."""
    if not argument.startswith(_CONTEXT):
        return argument
    context = json.loads(argument.removeprefix(_CONTEXT) or "{}")
    executable = context.get("py_executable")
    # It may also be a command with arguments, as "uv run": that is meant for bash.
    if executable and os.path.isfile(executable):
        context["py_executable"] = shlex.quote(executable)
    return _CONTEXT + json.dumps(context)


def ask(path: str, argv: Sequence[str]) -> int:
    """The process id of the worker. Raises OSError or ValueError when there is none."""
    question = {"argv": argv, "environ": dict(os.environ), "cwd": os.getcwd()}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_WAIT_S)
        connection.connect(path)
        text = json.dumps(question).encode()
        sent = socket.send_fds(connection, [text], [0, 1, 2])
        connection.sendall(text[sent:])
        connection.shutdown(socket.SHUT_WR)
        return int(connection.recv(32))


def main() -> None:
    arguments = sys.argv[1:]
    argv = plain(arguments)
    if argv is not None:
        try:
            ask(os.environ[SOCKET], argv)
        except (KeyError, OSError, ValueError) as exc:
            print(f"no worker from the fork server: {exc!r}", file=sys.stderr)
        else:
            return
    # Ray's own program for this stands beside the worker's.
    setup = os.path.join(os.path.dirname(arguments[0]), "setup_worker.py")
    os.execv(sys.executable, [sys.executable, setup, *map(quoted, arguments)])  # noqa: S606


if __name__ == "__main__":
    main()
