"""What a job is, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from pydantic import BaseModel

from ecap.config import Settings
from ecap.pipelines.batch.frame.spread import Spread


class Outcome(msgspec.Struct, frozen=True):
    """`good` is false when the job found what must not be."""

    good: bool
    lines: Sequence[str]
    document: Mapping[str, Any]


class Run(Protocol):
    def __call__(self, settings: Settings, arguments: Any, spread: Spread) -> Outcome: ...


@dataclass(frozen=True)
class Job:
    name: str
    sentence: str
    arguments: type[BaseModel]
    load: Callable[[], Run]
    """Its code, imported when it is to run: Ray and pyarrow take seconds."""
