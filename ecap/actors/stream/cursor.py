"""Where one partition of one pipeline stands, and what the next record means for it.

Positions of our own events are dense, so that a duplicate and a gap are facts.
Records of foreign producers carry no position; their offset takes its place,
and offsets may have holes.
"""

from __future__ import annotations

from enum import Enum


class Remedy(Enum):
    NONE = "none"
    REWIND = "rewind"  # read the partition again from its beginning
    REFILL = "refill"  # the broker does not have it: ask the relay


# Checks without progress before the partition is read again, and before the next refill.
_PATIENCE = 2
_REFILL_PATIENCE = 10


class Cursor:
    def __init__(self, next_pos: int, *, live_pos: int) -> None:
        """Below `live_pos` everything is committed already and replayed silently."""
        self.next_pos = next_pos
        self.live_pos = max(live_pos, next_pos)
        self.gap = False
        self._seen_pos = next_pos
        self._idle_checks = 0
        self._scanning = False

    @property
    def live(self) -> bool:
        return self.next_pos >= self.live_pos

    def accepts(self, pos: int, *, dense: bool) -> bool:
        """Is this the next one? Duplicates are not, nor is anything after a gap."""
        if pos == self.next_pos:
            self.gap = False
            return True
        if pos < self.next_pos:
            return False
        if dense:
            self.gap = True
            return False
        return True

    def check(self, *, position: int, highwater: int | None, sent_pos: int) -> Remedy:
        """To be asked regularly. `position`: the offset fetched next; `highwater`: the
        broker's end; `sent_pos`: below it everything has been sent to the broker."""
        moved = self.next_pos != self._seen_pos
        self._seen_pos = self.next_pos
        beyond = highwater is not None and position > highwater
        wanted = max(sent_pos, self.live_pos)
        if moved or not (self.gap or beyond or self.next_pos < wanted):
            self._idle_checks = 0
            self._scanning = False
            return Remedy.NONE
        self._idle_checks += 1
        # First the broker is read again: after a refill, also one that somebody else asked for, the
        # events stand at new offsets, perhaps behind what was read.
        if not self._scanning:
            if self.gap or beyond or self._idle_checks >= _PATIENCE:
                self._scanning = True
                self._idle_checks = 0
                return Remedy.REWIND
            return Remedy.NONE
        if highwater is not None and position < highwater:
            self._idle_checks = 0  # still reading
            return Remedy.NONE
        # Asked once a scan, and after `_REFILL_PATIENCE` all begins again: a request may be lost
        # when the relay answers another one at that moment.
        if self._idle_checks == _PATIENCE:
            return Remedy.REFILL
        if self._idle_checks >= _REFILL_PATIENCE:
            self._scanning = False
            self._idle_checks = 0
        return Remedy.NONE
