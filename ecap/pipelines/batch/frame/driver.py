"""One run of a job: on Ray from the beginning to the report. Imported late; Ray is slow."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ecap.config import Settings
from ecap.pipelines.batch.frame import remote
from ecap.pipelines.batch.frame.job import Job, Outcome
from ecap.pipelines.batch.frame.spread import Part, Result

Tell = Callable[[str], None]


def drive(job: Job, settings: Settings, arguments: BaseModel, *, tell: Tell) -> Outcome:
    """`tell` hears of the progress. Raises EcapError; KeyboardInterrupt ends the tasks, too."""
    with remote.connected():
        outcome = job.load()(settings, arguments, _Told(tell))
    out = getattr(arguments, "out", None)
    if out is not None:
        _write(out, outcome.document)
    return outcome


class _Told:
    """Ray Data's spreading, a line for every tenth of the parts."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def __call__(
        self, work: Callable[[Settings, Part], Result], parts: Sequence[Part], answers: type[Result]
    ) -> Iterator[Result]:
        count = len(parts)
        self._tell(f"{count} parts to do")
        for done, result in enumerate(remote.spread(work, parts, answers), 1):
            if done * 10 // count > (done - 1) * 10 // count:
                self._tell(f"{done} of {count} parts done")
            yield result


def _write(path: Path, document: Any) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    unfinished.write_text(json.dumps(document, indent=2, default=str) + "\n")
    os.replace(unfinished, path)
