"""Whether a change hurts the process that runs it: an experiment, made by the process itself.

Somebody killed a server, or deployed a release, in the same seconds: what turns red
after a change may have another cause. So it is tried. With the settings of before it has
to become well, and with the new ones unwell again; only then it is the change. What
there was before needs no look beforehand, and nothing is asked while requests are served.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

_LOOK_S = 0.5
# So many of the last looks: a moment says nothing, and a pool with too little time fails
# now and then.
_LOOKS = 3
_OF = 5
_MENDED_LOOKS = 2
# For what tries again with growing pauses, as the relay.
_MEND_S = 5.0
_AGAIN_S = 4.0
# Requests that began under other settings end, and are counted, within this.
_SETTLE_S = 0.5
# As a canary is judged.
_MIN_REQUESTS = 20
_MAX_ERROR_RATIO = 0.05
ERRORS = "requests"

Troubles = Mapping[str, str]


async def _no_trouble() -> Troubles:
    return {}


@dataclass(frozen=True)
class Vitals:
    """How a process is: by name what is the matter, and requests and failed ones so far."""

    troubles: Callable[[], Awaitable[Troubles]] = _no_trouble
    tally: Callable[[], tuple[int, int]] = lambda: (0, 0)


Switch = Callable[[], Awaitable[bool]]
"""To other settings; whether they run. If not, nothing has changed."""


class Probation:
    """`silent` says that nobody can be reported to. `clock` is in seconds."""

    def __init__(
        self, vitals: Vitals, *, silent: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        self._vitals = vitals
        self._silent = silent
        self._clock = clock
        self._since = (0, 0)

    async def verdict(self, *, back: Switch, again: Switch, probation_s: float) -> str | None:
        """Why the change has to go; the settings of before run then. None: the new ones do."""
        until = self._clock() + probation_s
        found = await self._unwell(until=until)
        if not found:
            return None
        while not await back():
            if self._clock() > until:
                return None
            await asyncio.sleep(_LOOK_S)
        mended = await self._mended(found)
        if not await again():
            return _text(found)  # it runs with the settings of before, and takes no others
        if not mended:
            return None
        proved = await self._unwell(until=self._clock() + _AGAIN_S, among=mended)
        if not proved or not await back():
            return None
        return _text(proved)

    async def _unwell(self, *, until: float, among: Troubles | None = None) -> Troubles:
        """What was the matter at most of the last looks; nothing when time is up."""
        await self._begin()
        looks: deque[Troubles] = deque(maxlen=_OF)
        while True:
            now = await self._look()
            if among is not None:
                now = {name: text for name, text in now.items() if name in among}
            looks.append(now)
            count = Counter(name for look in looks for name in look)
            lasting = {name: text for name, text in now.items() if count[name] >= _LOOKS}
            if lasting or (not now and self._clock() >= until):
                return lasting
            await asyncio.sleep(_LOOK_S)

    async def _mended(self, found: Troubles) -> Troubles:
        """Those of `found` that are the matter no longer."""
        await self._begin()
        until = self._clock() + _MEND_S
        looks: dict[str, int] = dict.fromkeys(found, 0)
        while self._clock() < until:
            now = await self._look()
            for name in found:
                unknown = name == ERRORS and self._served()[0] < _MIN_REQUESTS
                looks[name] = 0 if name in now or unknown else looks[name] + 1
            if all(count >= _MENDED_LOOKS for count in looks.values()):
                break
            await asyncio.sleep(_LOOK_S)
        return {name: found[name] for name, count in looks.items() if count >= _MENDED_LOOKS}

    async def _begin(self) -> None:
        await asyncio.sleep(_SETTLE_S)
        self._since = self._vitals.tally()

    async def _look(self) -> Troubles:
        found = dict(await self._vitals.troubles())
        if self._silent():
            found["hub"] = "the configuration hub cannot be reached"
        requests, failed = self._served()
        if requests >= _MIN_REQUESTS and failed / requests > _MAX_ERROR_RATIO:
            found[ERRORS] = f"{failed / requests:.1%} of them fail"
        return found

    def _served(self) -> tuple[int, int]:
        requests, failed = self._vitals.tally()
        return requests - self._since[0], failed - self._since[1]


def _text(troubles: Troubles) -> str:
    return "; ".join(f"{name}: {text}" for name, text in sorted(troubles.items()))
