"""Files that references name, live: what was read once is looked at from then on.

By looking, not by events: a mounted Secret is swapped by links of links, and a secret may
well be some seconds late.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ecap.config.layers.references import Reference
from ecap.config.secrets.folders import SecretFiles
from ecap.config.sources.source import Reading, SourceHealth
from ecap.errors import Misconfigured


class SecretFileSource:
    """`settle_s`: another content counts when it has been left alone for this long."""

    def __init__(
        self, files: SecretFiles, *, poll_s: float, settle_s: float, health: SourceHealth
    ) -> None:
        self.health = health
        self._files = files
        self._poll_s = poll_s
        self._settle_s = settle_s
        self._known: dict[Reference, str | None] = {}
        """None: it could not be read."""

    def reconfigure(self, *, poll_s: float, settle_s: float) -> None:
        self._poll_s = poll_s
        self._settle_s = settle_s

    async def read(self, reference: Reference, where: str) -> str:
        """A reader for `SecretReaders`."""
        self._known[reference] = None
        text = await asyncio.to_thread(self._files.text, reference, where=where)
        self._known[reference] = text
        return text

    async def watch(self) -> AsyncIterator[Reading]:
        self.health.changed()
        # A hub that goes on from the history has read nothing: now it does, and is told of it.
        yield Reading("secret files read")
        while True:
            await asyncio.sleep(self._poll_s)
            changed = await self._changed()
            if not changed:
                continue
            await asyncio.sleep(self._settle_s)
            if await self._changed() != changed:
                continue
            # Those that still count are read again at once; the others are nobody's any more.
            self._known.clear()
            self.health.changed()
            names = ", ".join(sorted(reference.target for reference in changed))
            yield Reading(f"secret files: {names}")

    async def _changed(self) -> dict[Reference, str | None]:
        """What is now in those that are not as they were read; an empty one is half written."""
        found: dict[Reference, str | None] = {}
        for reference, known in list(self._known.items()):
            text: str | None = None
            try:
                text = await asyncio.to_thread(self._files.text, reference, where="")
            except Misconfigured:
                if known is None:
                    continue
            if text != known and text != "":
                found[reference] = text
        return found
