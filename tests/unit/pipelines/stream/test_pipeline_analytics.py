from __future__ import annotations

from uuid import UUID

import pytest
from unit.pipelines.stream.happenings import placed, record

from ecap.config.settings.tree import Settings
from ecap.domain.events.orders import Line
from ecap.domain.events.users import UserRegistered
from ecap.pipelines.stream.analytics.pipeline import build

LATE_S = Settings().stream.late_after_s


def test_late_events_are_counted_and_marked() -> None:
    pipeline = build(Settings())
    state = pipeline.new_state("transactions", 0)
    for order, seconds, late in (
        (1, 0, None),
        (2, -LATE_S, None),
        (3, -LATE_S - 1, "transactions"),
    ):
        result = pipeline.apply(state, record(placed(order), seconds))
        assert result
        assert result.late_topic == late
    restored = pipeline.load("transactions", 0, pipeline.dump(state))
    assert restored.at == state.at


@pytest.mark.parametrize(
    "line",
    [
        Line(UUID(int=1), "books", 0, 100),
        Line(UUID(int=1), "books", -1, 100),
        Line(UUID(int=1), "books", 1, -100),
        Line(UUID(int=1), "bo\x00ks", 1, 100),
        Line(UUID(int=1), "books", 1_000_000, 10**11),
    ],
)
def test_impossible_lines_are_refused(line: Line) -> None:
    pipeline = build(Settings())
    state = pipeline.new_state("transactions", 0)
    with pytest.raises(ValueError):
        pipeline.apply(state, record(placed(1, lines=(line,)), 0))
    assert state.at is None


def test_other_events_are_none_of_its_business() -> None:
    pipeline = build(Settings())
    user = UserRegistered(user_id=UUID(int=1), sealed="enc:x")
    assert pipeline.apply(pipeline.new_state("transactions", 0), record(user, 0)) is None
