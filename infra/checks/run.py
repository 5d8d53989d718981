"""Every check of infra/ and deploy/, two processes at a time: `make infra`.

    python infra/checks/run.py [.venv-infra]

Runs with any Python; the checks run with those of the folder, which `make infra` makes. A check
whose tool is missing says SKIP and what to do; the exit is 1 on findings.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKS = {
    "terraform": ROOT / "infra" / "terraform" / "tests" / "check.py",
    "kuberay": ROOT / "deploy" / "kuberay" / "tests" / "check.py",
}
# What `make infra` cannot bring: where to get it.
PROGRAMS = {
    "terraform": "install Terraform 1.11 or newer and put it on the PATH",
    "promtool": "install promtool, which comes with Prometheus (apt-get install prometheus)",
    "checkov": "`make infra` with a package registry within reach",
}
_SKIP = re.compile(r"^SKIP\w*\s+([\w-]+)")
_print = threading.Lock()


def say(text: str) -> None:
    with _print:
        print(text, flush=True)


def run(name: str, python: Path, path: str) -> tuple[int, list[str]]:
    """The exit code, and what was skipped."""
    skipped = []
    # Unbuffered: the time of each check is seen when it ends.
    with subprocess.Popen(
        [python, "-u", CHECKS[name]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PATH": path},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if skip := _SKIP.match(line):
                skipped.append(f"{name}: {skip[1]}")
            say(f"{name:10} {line.rstrip()}")
    return process.returncode, skipped


def main(folder: Path) -> int:
    begin = time.monotonic()
    python = folder / "tools" / "bin" / "python"
    if not python.exists():
        say(f"SKIP everything: {folder} is not there; run `make infra` where a package registry is")
        return 0
    # checkov last: its environment has a Python of its own.
    path = os.pathsep.join([
        str(folder / "tools" / "bin"), str(folder / "bin"), os.environ.get("PATH", os.defpath),
        str(folder / "checkov" / "bin"),
    ])  # fmt: skip
    missing = {one: hint for one, hint in PROGRAMS.items() if not shutil.which(one, path=path)}
    for one, hint in missing.items():
        say(f"SKIP what needs {one}: {hint}")
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda name: run(name, python, path), CHECKS))
    skipped = [one for _, names in results for one in names]
    say(
        f"infra: {time.monotonic() - begin:.0f} s,"
        f" {sum(code != 0 for code, _ in results)} of {len(CHECKS)} failed,"
        f" {len(skipped)} checks skipped{': ' + ', '.join(skipped) if skipped else ''}"
    )
    return int(any(code for code, _ in results))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if sys.argv[1:] else ROOT / ".venv-infra").absolute()))
