"""Writes docs/walkthrough.md: runs every command in it, on an ECAP of its own; minutes.

    python docs/walkthrough.py

Needs bash and jq. Nothing is written when a command ends otherwise than it should.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PAGE = Path(__file__).with_suffix(".md")
_READY_S = 180.0
_COMMAND_S = 90.0
_COMPARED_S = 180.0
_DEMO = "ecap demo --seconds 300 --rate 8"
_WIDTH = 140

_HEAD = """# Live configuration, walked through

Recorded by `python docs/walkthrough.py` from a real run; do not edit. Three terminals: one has
`ecap up`, one has shoppers who order all the time, one has an operator. The settings change, a bad
value is refused, database users and the encryption key are replaced, the hub is killed, and no
request of the shoppers fails. Left out of the output are only lines, each time marked `[...]`; the
folder is called `~/shop`."""


class Walk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts = [_HEAD]
        programs = folder / "bin"
        programs.mkdir()
        command = programs / "ecap"
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ecap.cli.main "$@"\n')
        command.chmod(0o755)
        own = {k: v for k, v in os.environ.items() if not k.startswith(("ECAP", "RAY_"))}
        self.environ = {
            **own,
            "PATH": f"{programs}:{own['PATH']}",
            "PYTHONPATH": str(_ROOT),
            "COLUMNS": str(_WIDTH),
        }

    @contextmanager
    def beside(self, command: str, output: Path) -> Iterator[subprocess.Popen[bytes]]:
        """In a terminal of its own."""
        with output.open("wb") as file:
            process = subprocess.Popen(  # noqa: S602
                f"exec {command}",
                shell=True,
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(90)

    def say(self, text: str) -> None:
        self.parts.append(text)

    def do(self, command: str, *, code: int = 0, keep: str = "") -> str:
        """With its output on the page; of that, with `keep`, the lines in which it is found."""
        done = subprocess.run(  # noqa: S603
            ["/bin/bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_S,
        )
        print(f"$ {command}\n{done.stdout}", flush=True)
        if done.returncode != code:
            raise SystemExit(f"{command}: ended with {done.returncode}, not {code}")
        self.show(command, _kept(done.stdout, keep), code=code)
        return done.stdout

    def show(self, command: str, output: str, *, code: int = 0) -> None:
        plain = output.replace(str(self.folder), "~/shop")
        text = "\n".join(line.rstrip() for line in plain.rstrip().splitlines())
        ended = f"\n(exit code {code})" if code else ""
        self.parts.append(f"```console\n$ {command}\n{text}{ended}\n```")


def _kept(text: str, keep: str) -> str:
    """Runs of lines without `keep` become one mark."""
    if not keep:
        return text
    found: list[str] = []
    for line in text.splitlines():
        if re.search(keep, line):
            found.append(line)
        elif not found or found[-1] != "[...]":
            found.append("[...]")
    return "\n".join(found)


def _ready(output: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _READY_S
    while "Ready in" not in output.read_text():
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"ecap up did not come up:\n{output.read_text()}")
        time.sleep(0.2)


def _operator(walk: Walk) -> None:
    walk.say("## A rate limit is raised")
    walk.do('ecap config set limits.principal.rate_per_s 400 --reason "the sale begins"')
    walk.do("ecap config explain limits.principal.rate_per_s")

    walk.say(
        "## A fraud threshold is tightened, on one shard first\n\n"
        "The fraud shard runs it alone for five seconds; then, as it stayed well, everybody."
    )
    walk.do(
        'ecap config set fraud.review_score 45 --reason "card testing" --canary fraud-0 --bake 5s'
    )

    walk.say(
        "## Bad values are refused, and nothing runs them\n\n"
        "By the type, by what the shards know of the other threshold, by what only a restart\n"
        "can change, and by the name."
    )
    walk.do('ecap config set limits.principal.rate_per_s much --reason "a slip"', code=1)
    walk.do('ecap config set fraud.review_score 95 --reason "a slip"', code=1)
    walk.do('ecap config set stream.shards.fraud 4 --reason "more of them"', code=1)
    walk.do('ecap config set fraud.review_scor 40 --reason "a slip"', code=1)

    walk.say(
        "## Every database user is replaced\n\n"
        "Each process leases a new PostgreSQL user from Vault, moves its pool over, and gives the\n"
        "old one back before it acknowledges."
    )
    walk.do('ecap config set postgres.lease_generation 1 --reason "weekly rotation"')

    walk.say("## The encryption key is replaced, the old one retired")
    walk.do("ecap secrets status")
    walk.do("ecap secrets rotate-keys --retire")
    walk.do("ecap secrets status")

    walk.say(
        "## The hub is killed\n\n"
        "Its process, without a warning. All go on with what they run; a change has to wait."
    )
    hub = """ecap status --json | jq '.parts[] | select(.name == "config") | .pids[]'"""
    before = walk.do(hub)
    walk.do(f"kill -9 {before.strip()}")
    back = 'ecap config set limits.principal.rate_per_s 250 --reason "the sale is over"'
    walk.do(f"until {back}; do sleep 1; done")
    if walk.do(hub) == before:
        raise SystemExit("it was not the hub that was killed")


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ecap-walk-", dir="/tmp"))
    # Not where only the caller may look: PostgreSQL may run as somebody else.
    folder.chmod(0o711)
    walk = Walk(folder)
    up, demo = folder / "up", folder / "demo"
    try:
        with walk.beside("ecap up --leased-credentials", up) as system:
            _ready(up, system)
            walk.say("## Terminal 1: ECAP")
            walk.show("ecap up --leased-credentials", up.read_text())
            with walk.beside(_DEMO, demo) as shoppers:
                time.sleep(3)
                walk.say(
                    "## Terminal 2: shoppers\n\n"
                    "They shop until all is done; their books are at the end of this page."
                )
                walk.say(f"```console\n$ {_DEMO}\n```")
                walk.say("All that follows is typed in terminal 3, while they shop.")
                _operator(walk)
                if shoppers.poll() is not None:
                    raise SystemExit(f"the shoppers have gone:\n{demo.read_text()}")
                walk.say("## The ledger tells it")
                walk.do("ecap config history --limit 40")
                walk.do("ecap config status")
                # Ctrl-C: it sends no more, and compares.
                shoppers.send_signal(signal.SIGINT)
                if shoppers.wait(_COMPARED_S) != 0:
                    raise SystemExit(f"the books differ:\n{demo.read_text()}")
            walk.say(
                "## The shoppers' books\n\n"
                "Ctrl-C ended the shopping. No request failed; every stage has the same orders\n"
                "and the same money."
            )
            told = demo.read_text()
            print(told)
            if "no requests (5xx, or no answer)" not in told:
                raise SystemExit("a request failed")
            lines = told.splitlines()
            seconds = [line for line in lines if re.match(r"\s*\d+ s  ", line)]
            rest = [line for line in lines if line not in seconds]
            shown = [*seconds[:2], "[...]", *seconds[-2:], *rest]
            walk.show(_DEMO, "\n".join(shown))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _PAGE.write_text("\n\n".join(walk.parts) + "\n")


if __name__ == "__main__":
    main()
