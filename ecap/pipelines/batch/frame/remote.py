"""Ray Data under a job: parts stream through tasks, a result at a time comes back.

Ray Data starts as many tasks as there are CPUs to have, holds back when results wait,
and repeats what a lost process had. Parts and results travel as JSON text: small, and
the same whatever Arrow thinks of a type.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import ray
import ray.data
from ray._private import worker
from ray.exceptions import RayError, RayTaskError

from ecap import lean
from ecap.config import Settings, load
from ecap.errors import EcapError, Misconfigured, Unavailable
from ecap.pipelines.batch.frame.spread import Part, Result

# Batch work beside those who answer people.
_NICE = 10
_CPUS = 1.0


@contextmanager
def connected() -> Iterator[None]:
    """To the Ray that the environment names, never to one started by the way."""
    if not os.environ.get("RAY_ADDRESS"):
        raise Misconfigured("RAY_ADDRESS is not set: `ecap job submit` finds the running ECAP")
    logging.getLogger("ray").setLevel(logging.ERROR)
    # Other workers have neither pyarrow nor pandas; see ecap.lean.
    runtime_env = {"env_vars": {lean.MARK: "1"}}
    # Ray's remarks about other processes; it has no option for them.
    worker.print_to_stdstream = _unsaid
    try:
        ray.init(runtime_env=runtime_env, log_to_driver=False, configure_logging=False)
    except (RayError, ConnectionError, RuntimeError) as exc:
        raise Unavailable(f"Ray at {os.environ['RAY_ADDRESS']} does not answer: {exc}") from exc
    _take_signals_back()
    try:
        yield
    finally:
        ray.shutdown()


def spread(
    work: Callable[[Settings, Part], Result], parts: Sequence[Part], answers: type[Result]
) -> Iterator[Result]:
    """See `Spread`."""
    if not parts:
        return
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    rows = [{"part": msgspec.json.encode(part).decode()} for part in parts]
    task = _Task(work, type(parts[0]))
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    try:
        for row in dataset.map(task.run, num_cpus=_CPUS).iter_rows():
            yield msgspec.json.decode(row["result"], type=answers)
    except RayTaskError as exc:
        raise _cause(exc) from exc


class _Task:
    def __init__(self, work: Callable[[Settings, Any], Any], part: type[Any]) -> None:
        self._work = work
        self._part = part

    def run(self, row: dict[str, Any]) -> dict[str, Any]:
        part = msgspec.json.decode(row["part"], type=self._part)
        return {"result": msgspec.json.encode(self._work(_settings(), part)).decode()}


@functools.cache
def _settings() -> Settings:
    """Once a process; secrets are read where they are used."""
    os.nice(_NICE)
    return load()


def _cause(exc: RayTaskError) -> Exception:
    """What the work itself raised."""
    found: BaseException | None = exc
    while found is not None:
        if isinstance(found, EcapError):
            return found
        found = getattr(found, "cause", None) or found.__cause__
    return exc


def _unsaid(data: Any, ignore_prefix: bool = False) -> None:
    pass


def _take_signals_back() -> None:
    """Ray's handler of SIGTERM prints stacks; a job ends as by Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
