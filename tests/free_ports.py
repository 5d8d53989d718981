"""Ports for servers of a test's own. Other test sessions choose from the same range, and
one may be taken between being found free and being used: then another one is tried."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ecap.errors import Unavailable
from ecap.local.process.ports import choose

T = TypeVar("T")

_RNG = random.Random(os.urandom(8))
# As PostgreSQL, OpenBao and Python say it; as tansu does.
_TAKEN = re.compile(r"(?i)address (already )?in use|AddrInUse")
_TRIES = 5


def free_port() -> int:
    return choose({"x": 1}, remembered={}, rng=_RNG)["x"]


async def on_a_free_port(start: Callable[[int], Awaitable[T]]) -> T:
    return await again_if_taken(lambda: start(free_port()))


async def again_if_taken(start: Callable[[], Awaitable[T]]) -> T:
    """`start` chooses, and raises Unavailable with the end of the server's log."""
    for left in reversed(range(_TRIES)):
        try:
            return await start()
        except Unavailable as exc:
            if not left or not _TAKEN.search(str(exc)):
                raise
    raise AssertionError("unreachable")
