from __future__ import annotations

import pytest

from ecap.config.protocol import Health
from ecap.serve.edge.recent import Recent


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_replica_that_did_nothing_is_well() -> None:
    assert Recent(clock=Clock()).health() == Health()


def test_what_failed_of_the_last_seconds() -> None:
    clock = Clock()
    recent = Recent(clock=clock)
    recent.add(8, 4)
    recent.add(2, 0)
    assert recent.health() == Health(error_ratio=0.4, requests=10)
    clock.now += 5
    recent.add(10, 0)
    assert recent.health() == Health(error_ratio=0.2, requests=20)


def test_old_failures_are_forgotten() -> None:
    clock = Clock()
    recent = Recent(clock=clock)
    recent.add(100, 100)
    clock.now += 10
    recent.add(30, 3)
    assert recent.health().error_ratio == pytest.approx(103 / 130)
    clock.now += 1
    assert recent.health() == Health(error_ratio=0.1, requests=30)
    clock.now += 60
    assert recent.health() == Health()
