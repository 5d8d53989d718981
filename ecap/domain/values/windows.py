"""Exact sliding windows over event time.

A window of width w at time t is (t - w, t]: an event exactly w old has left it.
Times are integer microseconds since 1970 UTC and values are integers, so that a
running sum is exact. Events may come in any order and t may be any time: the
answer is the same as counting every event again, as long as t - w is not before
what was evicted.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection, Hashable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

SECOND = 1_000_000
_STEP = 60 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def micros(at: datetime) -> int:
    """Exact, unlike `timestamp()`, which is a float."""
    since = at - _EPOCH
    return (since.days * 86400 + since.seconds) * SECOND + since.microseconds


def moment(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


class AmountWindow:
    """Counts and sums over windows of any width: O(log n), an event in order O(1).

    Sixteen bytes an event: the sorted times, and beside each the sum up to it.
    """

    __slots__ = ("sums", "times")

    def __init__(self) -> None:
        self.times = array("q")
        self.sums = array("q")

    def add(self, at: int, value: int) -> None:
        times, sums = self.times, self.sums
        if not times:
            times.append(at)
            sums.append(value)
        elif at >= times[-1]:
            times.append(at)
            sums.append(sums[-1] + value)
        else:
            i = bisect_right(times, at)
            times.insert(i, at)
            sums.insert(i, sums[i - 1] if i else 0)
            for j in range(i, len(sums)):
                sums[j] += value

    def count(self, at: int, width: int) -> int:
        return bisect_right(self.times, at) - bisect_right(self.times, at - width)

    def sum(self, at: int, width: int) -> int:
        sums = self.sums
        low, high = bisect_right(self.times, at - width), bisect_right(self.times, at)
        if low == high:
            return 0
        return sums[high - 1] - (sums[low - 1] if low else 0)

    def evict(self, until: int) -> None:
        """Forget events at or before `until`, once they are half of all: amortised O(1)."""
        times, sums = self.times, self.sums
        if not times or times[len(times) >> 1] > until:
            return
        cut = bisect_right(times, until)
        gone = sums[cut - 1]
        del times[:cut]
        self.sums = array("q", [total - gone for total in sums[cut:]])


class DistinctWindow(Generic[Key]):
    """How many different keys a window of one width holds.

    Amortised O(1) while time moves forward; a time in the past is counted from
    the events themselves.
    """

    __slots__ = ("_counts", "_edge", "_left", "keys", "times")

    def __init__(self) -> None:
        self.times = array("q")
        self.keys: list[Key] = []
        # How often each key occurs after _edge, which is where index _left begins.
        self._counts: dict[Key, int] = {}
        self._edge = -(1 << 62)
        self._left = 0

    def add(self, at: int, key: Key) -> None:
        times = self.times
        if not times or at >= times[-1]:
            times.append(at)
            self.keys.append(key)
        else:
            i = bisect_right(times, at)
            times.insert(i, at)
            self.keys.insert(i, key)
        if at > self._edge:
            self._counts[key] = self._counts.get(key, 0) + 1
        else:
            self._left += 1

    def count(self, at: int, width: int, also: Collection[Key] = ()) -> int:
        """`also` are keys to count as if they were in the window."""
        times = self.times
        held: Collection[Key]
        if at - width >= self._edge and (not times or at >= times[-1]):
            self._advance(at - width)
            held = self._counts
        else:
            held = set(self.keys[bisect_right(times, at - width) : bisect_right(times, at)])
        if not also:
            return len(held)
        return len(held) + sum(key not in held for key in set(also))

    def evict(self, until: int) -> None:
        times = self.times
        if not times or times[len(times) >> 1] > until:
            return
        self._advance(until)
        cut = bisect_right(times, until)
        del times[:cut]
        del self.keys[:cut]
        self._left -= cut

    def _advance(self, edge: int) -> None:
        if edge <= self._edge:
            return
        self._edge = edge
        times, counts = self.times, self._counts
        while self._left < len(times) and times[self._left] <= edge:
            key = self.keys[self._left]
            if counts[key] == 1:
                del counts[key]
            else:
                counts[key] -= 1
            self._left += 1


class Watermark:
    """The newest event time, except that one event with a wrong clock must not age
    everybody else: it moves at most a minute at a time."""

    __slots__ = ("at",)

    def __init__(self, at: int | None = None) -> None:
        self.at = at

    def advance(self, at: int) -> None:
        if self.at is None:
            self.at = at
        elif at > self.at:
            self.at = min(at, self.at + _STEP)

    def behind(self, at: int) -> int:
        """How far `at` is behind, in microseconds; at most 0 when it is not."""
        return 0 if self.at is None else self.at - at


class Generations(Generic[Key, Value]):
    """A dictionary that forgets what was not used for one to two turns, in O(1)."""

    __slots__ = ("old", "young")

    def __init__(self) -> None:
        self.young: dict[Key, Value] = {}
        self.old: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self.old)

    def peek(self, key: Key) -> Value | None:
        found = self.young.get(key)
        return self.old.get(key) if found is None else found

    def use(self, key: Key) -> Value | None:
        found = self.young.get(key)
        if found is None:
            found = self.old.pop(key, None)
            if found is not None:
                self.young[key] = found
        return found

    def put(self, key: Key, value: Value) -> None:
        self.young[key] = value

    def turn(self) -> None:
        self.old = self.young
        self.young = {}
