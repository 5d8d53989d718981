"""How a job's parts are worked off: by Ray Data, or one after the other where a test wants that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import msgspec

from ecap.config import Settings

Part = TypeVar("Part", bound=msgspec.Struct)
Result = TypeVar("Result", bound=msgspec.Struct)


class Spread(Protocol):
    def __call__(
        self,
        work: Callable[[Settings, Part], Result],
        parts: Sequence[Part],
        answers: type[Result],
    ) -> Iterator[Result]:
        """Results in the order of the parts. `work` may run twice for a part whose process died."""
        ...
