"""Jobs on a cluster, as RayJobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from ecap.cli.job.face import Row, Say
from ecap.clients.rayjobs import RayJobs, open_rayjobs
from ecap.config.settings.connections.kubernetes import Kubernetes

T = TypeVar("T")
_POLL_S = 3.0


class OnCluster:
    def __init__(self, settings: Kubernetes, *, namespace: str, release: str) -> None:
        self._settings = settings
        self._namespace = namespace
        self._release = release

    def submit(self, name: str, arguments: Sequence[str], *, workers: int | None) -> str:
        command = ["ecap", "job", "run", name]
        for argument in arguments:
            command += ["--arg", argument]
        return self._asked(lambda jobs: jobs.submit(name, command, workers=workers))

    def rows(self, job: str | None) -> list[Row]:
        if job:
            return [msgspec.to_builtins(self._asked(lambda jobs: jobs.find(job)))]
        rows: list[Row] = msgspec.to_builtins(self._asked(lambda jobs: jobs.all()))
        return rows

    def follow(self, job: str, say: Say, *, to_the_end: bool) -> int:
        said, state = 0, ""
        while True:
            found = self._asked(lambda jobs: jobs.find(job))
            if found.state != state and to_the_end:
                state = found.state
                say(f"{job}: {state}\n")
            text = self._asked(lambda jobs: jobs.log(job)) if found.cluster else found.message
            if len(text) > said:
                say(text[said:])
                said = len(text)
            if found.code is not None or not to_the_end:
                return found.code or 0
            time.sleep(_POLL_S)

    def stop(self, job: str) -> str:
        self._asked(lambda jobs: jobs.stop(job))
        return "deleted, with its cluster"

    def _asked(self, ask: Callable[[RayJobs], Awaitable[T]]) -> T:
        async def connected() -> T:
            async with open_rayjobs(
                self._settings, namespace=self._namespace, release=self._release
            ) as jobs:
                return await ask(jobs)

        return asyncio.run(connected())
