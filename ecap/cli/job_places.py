"""Where jobs run, behind one face: beside a local ECAP, or on a cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from ecap.config import load
from ecap.config.settings.connections.kubernetes import Kubernetes
from ecap.errors import Conflict
from ecap.local.jobs import Jobs
from ecap.local.state import open_state

Row = dict[str, Any]
Say = Callable[[str], object]
_LOCAL_POLL_S = 0.3


class Place(Protocol):
    def submit(self, name: str, arguments: Sequence[str], *, workers: int | None) -> str: ...

    def rows(self, job: str | None) -> list[Row]: ...

    def follow(self, job: str, say: Say, *, to_the_end: bool) -> int:
        """Its exit code, 0 while it runs."""
        ...

    def stop(self, job: str) -> str: ...


class Here:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def submit(self, name: str, arguments: Sequence[str], *, workers: int | None) -> str:
        if workers is not None:
            raise Conflict("--workers is for --cluster; here there is one node")
        return self._jobs.submit(name, arguments, now=datetime.now(UTC)).id

    def rows(self, job: str | None) -> list[Row]:
        found = [self._jobs.find(job)] if job else self._jobs.all()
        return [
            {
                "id": one.id,
                "state": self._jobs.state(one),
                "seconds": one.seconds,
                "arguments": " ".join(one.arguments),
            }
            for one in found
        ]

    def follow(self, job: str, say: Say, *, to_the_end: bool) -> int:
        with self._jobs.log(job).open(errors="replace") as log:
            while True:
                ended = self._jobs.state(self._jobs.find(job)) != "running"
                say(log.read())  # after the look: its last words are not missed
                if ended or not to_the_end:
                    break
                time.sleep(_LOCAL_POLL_S)
        code = self._jobs.find(job).code
        return (1 if code is None else code) if ended else 0

    def stop(self, job: str) -> str:
        return self._jobs.stop(job)


def of(cluster: bool, *, context: str | None, namespace: str, release: str) -> Place:
    settings = load(secrets=False)
    if not cluster:
        return Here(Jobs(open_state(settings.state_dir)))
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    kubeconfig = Path(named or "~/.kube/config").expanduser()
    chosen = Kubernetes(kubeconfig=kubeconfig, context=context)
    # Late: the client of Kubernetes takes a second to import.
    place: Place = import_module("ecap.cli.job_cluster").OnCluster(
        chosen, namespace=namespace, release=release
    )
    return place
