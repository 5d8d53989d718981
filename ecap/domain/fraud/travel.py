"""Distance on the earth, and the places a customer was seen at."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from math import asin, cos, radians, sin, sqrt

from ecap.domain.values.windows import SECOND

# Mean radius (IUGG); the sphere is wrong by at most 0.5 %.
EARTH_KM = 6371.0088


def haversine_km(
    latitude: float, longitude: float, other_latitude: float, other_longitude: float
) -> float:
    """Great-circle distance; degrees in, kilometres out."""
    phi, other_phi = radians(latitude), radians(other_latitude)
    across = sin((other_phi - phi) / 2.0)
    along = sin(radians(other_longitude - longitude) / 2.0)
    half = across * across + cos(phi) * cos(other_phi) * along * along
    # Rounding may push antipodes just above 1.
    return 2.0 * EARTH_KM * asin(sqrt(min(1.0, half)))


def speed_kmh(km: float, elapsed: int) -> float:
    """Elapsed in microseconds; less than a second counts as a second."""
    return km * 3600.0 / (max(elapsed, SECOND) / SECOND)


class Track:
    """Places in order of event time."""

    __slots__ = ("latitudes", "longitudes", "times")

    def __init__(self) -> None:
        self.times = array("q")
        self.latitudes = array("d")
        self.longitudes = array("d")

    def add(self, at: int, latitude: float, longitude: float) -> None:
        i = bisect_right(self.times, at)
        self.times.insert(i, at)
        self.latitudes.insert(i, latitude)
        self.longitudes.insert(i, longitude)

    def last(self, at: int) -> tuple[int, float, float] | None:
        """The newest place at or before a time."""
        i = bisect_right(self.times, at) - 1
        return None if i < 0 else (self.times[i], self.latitudes[i], self.longitudes[i])

    def evict(self, until: int) -> None:
        """Keep what is newer than `until`, and the last place before it."""
        if len(self.times) < 2 or self.times[1] > until:
            return
        cut = bisect_right(self.times, until) - 1
        del self.times[:cut]
        del self.latitudes[:cut]
        del self.longitudes[:cut]
