"""The hub's hand on the history: it writes after the last entry it knows, or is fenced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ecap.config.hub import accepted as accepting
from ecap.config.hub.accepted import Accepted, Packed
from ecap.config.hub.history import Entry, Event, History, Kind, verify
from ecap.config.hub.proposals import Proposal
from ecap.config.secrets.keyring.live import LiveKeyring


class Journal:
    """`wall` is Unix time, in seconds."""

    def __init__(self, history: History, *, keys: LiveKeyring, wall: Callable[[], float]) -> None:
        self.keys = keys
        self.version = 0
        """The highest that was ever spoken of."""
        self._history = history
        self._wall = wall
        self._last: Entry | None = None

    def now(self) -> float:
        """Unix time."""
        return self._wall()

    async def open(self) -> list[Entry]:
        """Raises Misconfigured when it was altered."""
        entries = list(await self._history.entries())
        verify(entries)
        self._last = entries[-1] if entries else None
        self.version = max((entry.version for entry in entries), default=0)
        return entries

    def event(self, kind: Kind, version: int, proposal: Proposal, body: dict[str, Any]) -> Event:
        if proposal.origin:
            body = {**body, "origin": dict(proposal.origin)}
        return Event(version, kind, self._wall(), proposal.author, proposal.reason, body)

    async def write(self, *events: Event, accepted: Accepted | None = None) -> None:
        """All or none; `accepted` belongs to the last.

        Raises Fenced when another hub is at work, Unavailable.
        """
        state = None if accepted is None else accepting.pack(accepted, self.keys)
        # When the answer is lost, `_last` stays where it was. If the entry was written all the
        # same, the next write finds its place taken and is Fenced, and the hub that replaces this
        # one reads what became of it.
        self._last = await self._history.append(events, after=self._last, state=state)
        self.version = max(self.version, self._last.version)

    async def state(self, version: int) -> Packed | None:
        """Raises Misconfigured when it cannot be opened."""
        token = await self._history.state(version)
        if token is None:
            return None
        where = f"configuration version {version}"
        return accepting.decoded(await self.keys.open(token, where=where), where=where)
