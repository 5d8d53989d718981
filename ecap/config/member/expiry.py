"""Overrides end by the clock of each member, whether or not a hub is there to say so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ecap.config.protocol import Ends
from ecap.config.settings.tree import Settings

# The wall clock may be set, and a subscriber may refuse for a while.
_LOOK_S = 10.0


@dataclass(frozen=True)
class Decided:
    """A version as the hub decided it."""

    version: int
    settings: Settings
    ends: Ends = ()

    def at(self, now: float) -> Settings:
        """Without the overrides that have ended; the same object where none has."""
        past = [end for end in self.ends if end.at <= now]
        return past[-1].changes().settings(self.settings) if past else self.settings


class Expiry:
    """`wall` is Unix time. `expire` is called when an end has come, and again, later, where
    it answers that it could not be taken."""

    def __init__(self, expire: Callable[[], Awaitable[bool]], *, wall: Callable[[], float]) -> None:
        self._expire = expire
        self._wall = wall
        self._ends: Ends = ()
        self._news = asyncio.Event()

    def follow(self, ends: Ends) -> None:
        """In place of those before."""
        self._ends = ends
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            left_s = self._ends[0].at - self._wall() if self._ends else None
            if left_s is not None and left_s <= 0:
                now, ends = self._wall(), self._ends
                if await self._expire():
                    if self._ends is ends:
                        self._ends = tuple(end for end in ends if end.at > now)
                    continue
                left_s = _LOOK_S
            self._news.clear()
            try:
                async with asyncio.timeout(None if left_s is None else min(left_s, _LOOK_S)):
                    await self._news.wait()
            except TimeoutError:
                continue
