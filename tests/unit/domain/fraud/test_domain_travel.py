from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap.domain.fraud.travel import EARTH_KM, Track, haversine_km, speed_kmh
from ecap.domain.values.windows import SECOND

_latitudes = st.floats(-90, 90)
_longitudes = st.floats(-180, 180)


@pytest.mark.parametrize(
    ("here", "there", "km"),
    [
        ((40.6413, -73.7781), (51.4700, -0.4543), 5540),  # JFK, LHR
        ((35.5494, 139.7798), (-33.9399, 151.1753), 7830),  # HND, SYD
        ((0.0, 0.0), (0.0, 1.0), 111.195),  # one degree of the equator
        ((0.0, 179.5), (0.0, -179.5), 111.195),  # across the date line
    ],
)
def test_known_distances(here: tuple[float, float], there: tuple[float, float], km: float) -> None:
    assert haversine_km(*here, *there) == pytest.approx(km, rel=0.005)


@given(_latitudes, _longitudes, _latitudes, _longitudes)
def test_distance_is_symmetric_and_at_most_half_around(
    a: float, b: float, c: float, d: float
) -> None:
    there = haversine_km(a, b, c, d)
    assert there == pytest.approx(haversine_km(c, d, a, b), abs=1e-6)
    assert 0 <= there <= EARTH_KM * 3.14159266


def test_speed_has_no_division_by_zero() -> None:
    assert speed_kmh(1, 0) == 3600
    assert speed_kmh(900, 3600 * SECOND) == 900


@given(
    steps=st.lists(st.tuples(st.integers(-5, 8), _latitudes), min_size=1, max_size=40),
    asked=st.integers(-5, 0),
)
def test_the_last_place_survives_eviction(steps: list[tuple[int, float]], asked: int) -> None:
    track, places, newest = Track(), list[tuple[int, float]](), 0
    for step, latitude in steps:
        time = newest + step
        newest = max(newest, time)
        track.add(time, latitude, 0.0)
        track.evict(newest - 5)
        places.append((time, latitude))
    at = newest + asked
    before = [place for place in places if place[0] <= at]
    found = track.last(at)
    if before:
        latest = max(time for time, _ in before)
        expected = [latitude for time, latitude in before if time == latest][-1]
        assert found == (latest, expected, 0.0)
    else:
        assert found is None
