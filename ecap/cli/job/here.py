"""Jobs beside a local ECAP."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from ecap.cli.job.face import Row, Say
from ecap.errors import Conflict
from ecap.local.jobs import Jobs

_LOCAL_POLL_S = 0.3


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
