from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.pipelines.stream.happenings import at, placed, question, record

from ecap.config.settings.tree import Settings
from ecap.domain.events.orders import OrderPlaced
from ecap.domain.fraud.features import features_of
from ecap.domain.fraud.profile import Profile, Transaction
from ecap.domain.fraud.scoring import judge
from ecap.domain.values.windows import micros
from ecap.errors import Misconfigured
from ecap.pipelines.stream.fraud.pipeline import FraudPipeline, build
from ecap.pipelines.stream.fraud.sink import Decided
from ecap.pipelines.stream.fraud.state import FraudState
from ecap.pipelines.stream.fraud.thresholds import thresholds

Coordinates = tuple[float | None, float | None]

LIMITS = Settings().fraud
THRESHOLDS = thresholds(LIMITS)


@pytest.fixture
def pipeline() -> FraudPipeline:
    return build(Settings())


@pytest.fixture
def state(pipeline: FraudPipeline) -> FraudState:
    return pipeline.new_state("transactions", 0)


def apply(
    pipeline: FraudPipeline, state: FraudState, order: OrderPlaced, seconds: float
) -> Decided | None:
    result = pipeline.apply(state, record(order, seconds))
    assert result is None or isinstance(result, Decided)
    return result


_orders = st.lists(
    st.tuples(
        st.integers(1, 3),  # user
        st.integers(-200, 2000),  # seconds after the newest
        st.sampled_from([300, 5_000, 150_000, 2_000_000]),
        st.sampled_from("abcd"),
        st.sampled_from("xyz"),
        st.sampled_from([(None, None), (40.7, -74.0), (35.7, 139.7)]),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(_orders, st.integers(0, 30))
def test_the_stream_equals_a_recomputation_from_scratch(
    orders: list[tuple[int, int, int, str, str, Coordinates]], restart: int
) -> None:
    """With a snapshot taken, loaded and gone on from somewhere."""
    pipeline = build(Settings())
    state = pipeline.new_state("transactions", 0)
    streamed, newest = [], 0.0
    history: list[tuple[int, OrderPlaced, float]] = []
    for number, (user, step, amount, card, device, (lat, lon)) in enumerate(orders):
        if number == restart:
            state = pipeline.load("transactions", 0, pipeline.dump(state))
        seconds = newest + step
        newest = max(newest, seconds)
        order = placed(
            number,
            user=user,
            amount=amount,
            card=card,
            device_id=device,
            latitude=lat,
            longitude=lon,
        )
        history.append((user, order, seconds))
        result = apply(pipeline, state, order, seconds)
        assert result is not None
        streamed.append(result.verdict)

    scratch = []
    for i, (user, order, seconds) in enumerate(history):
        mine = Profile()
        for (other, before, then), verdict in zip(history[:i], streamed, strict=False):
            if other == user:
                mine.learn(
                    _transaction(before, then), THRESHOLDS, trusted=verdict.decision == "approve"
                )
        scratch.append(
            judge(features_of(mine, _transaction(order, seconds), THRESHOLDS), THRESHOLDS)
        )
    assert streamed == scratch


def _transaction(order: OrderPlaced, seconds: float) -> Transaction:
    return Transaction(
        micros(at(seconds)),
        order.amount_minor,
        order.card,
        order.device_id,
        order.latitude,
        order.longitude,
    )


def test_a_burst_of_questions_sees_itself(pipeline: FraudPipeline, state: FraudState) -> None:
    answers = [
        pipeline.answer(state, question(i), now=at(i / 100)) for i in range(LIMITS.velocity_count)
    ]
    assert [answer.decision for answer in answers] == ["approve"] * 5 + ["review"]
    assert answers[-1].reasons == ("velocity",)


def test_asking_again_gives_the_same_answer_and_counts_once(
    pipeline: FraudPipeline, state: FraudState
) -> None:
    first = pipeline.answer(state, question(1), now=at(0))
    for _ in range(20):
        assert pipeline.answer(state, question(1), now=at(1)) == first
    # Also after its event, while the answer is kept.
    apply(pipeline, state, placed(1, decision="approve", scored=True), 1)
    assert pipeline.answer(state, question(1), now=at(2)) == first


def test_a_confirmed_transaction_is_not_counted_twice(
    pipeline: FraudPipeline, state: FraudState
) -> None:
    for i in range(4):
        pipeline.answer(state, question(i), now=at(i))
        apply(pipeline, state, placed(i, decision="approve", scored=True), i)
    assert pipeline.answer(state, question(10), now=at(5)).decision == "approve"
    assert pipeline.answer(state, question(11), now=at(6)).decision == "review"


def test_an_unconfirmed_transaction_stops_counting(
    pipeline: FraudPipeline, state: FraudState
) -> None:
    for i in range(5):
        pipeline.answer(state, question(i), now=at(0))
    assert (
        pipeline.answer(state, question(5), now=at(LIMITS.provisional_ttl_s)).decision == "approve"
    )
    assert len(state.provisional) == 1


def test_a_snapshot_holds_nothing_provisional(pipeline: FraudPipeline, state: FraudState) -> None:
    apply(pipeline, state, placed(1), 0)
    before = pipeline.dump(state)
    for i in range(5):
        pipeline.answer(state, question(10 + i, user=i), now=at(1))
    assert pipeline.dump(state) == before


def test_a_repeated_order_changes_nothing(pipeline: FraudPipeline, state: FraudState) -> None:
    assert apply(pipeline, state, placed(1), 0)
    before = pipeline.dump(state)
    assert apply(pipeline, state, placed(1), 5) is None
    restored = pipeline.load("transactions", 0, before)
    assert apply(pipeline, restored, placed(1), 5) is None
    assert pipeline.dump(state) == before


def test_the_decision_acted_on_is_recorded(pipeline: FraudPipeline, state: FraudState) -> None:
    order = placed(
        1, amount=2_000_000, decision="approve", score=3, reasons=("new_card",), scored=True
    )
    result = apply(pipeline, state, order, 0)
    assert result
    assert (result.verdict.decision, result.verdict.score) == ("approve", 3)


def test_an_order_nobody_scored_in_time_keeps_its_review_and_gets_its_reasons(
    pipeline: FraudPipeline, state: FraudState
) -> None:
    order = placed(1, amount=2_000_000, decision="review", reasons=("fraud_unavailable",))
    result = apply(pipeline, state, order, 0)
    assert result
    assert result.verdict.decision == "review"
    assert result.verdict.reasons == ("fraud_unavailable", "amount_extreme")
    assert result.verdict.score == 100


def test_a_late_answer_is_used(pipeline: FraudPipeline, state: FraudState) -> None:
    """The shard answered, but after the order had given up waiting."""
    for i in range(5):
        pipeline.answer(state, question(i), now=at(0))
    assert pipeline.answer(state, question(5), now=at(0)).reasons == ("velocity",)
    order = placed(5, decision="review", reasons=("fraud_unavailable",))
    result = apply(pipeline, state, order, 1)
    assert result
    assert result.verdict.reasons == ("fraud_unavailable", "velocity")


def test_a_late_event_is_marked(pipeline: FraudPipeline, state: FraudState) -> None:
    apply(pipeline, state, placed(1), 1000)
    for order, seconds, late in ((2, 1000 - LIMITS.lateness_s, False), (3, 600, True)):
        result = apply(pipeline, state, placed(order), seconds)
        assert result
        assert result.late is late


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": -1},
        {"amount": 10**12},
        {"currency": "dollars"},
        {"score": 101},
        {"latitude": 91.0, "longitude": 0.0},
        {"latitude": float("nan"), "longitude": 0.0},
        {"card": "a\x00b"},
        {"device_id": "d" * 501},
        {"reasons": ("two words",)},
    ],
)
def test_what_cannot_be_stored_is_refused_before_it_counts(
    pipeline: FraudPipeline, state: FraudState, wrong: dict[str, Any]
) -> None:
    before = pipeline.dump(state)
    with pytest.raises(ValueError):
        apply(pipeline, state, placed(1, **wrong), 0)
    assert pipeline.dump(state) == before


def test_a_flood_of_questions_stays_bounded(pipeline: FraudPipeline, state: FraudState) -> None:
    for i in range(1000):
        pipeline.answer(state, question(i), now=at(0))
    assert len(state.provisional.of(UUID(int=1).int)) == 256
    pipeline.answer(state, question(5000), now=at(LIMITS.provisional_ttl_s + 1))
    assert len(state.provisional) == 1
    assert len(state.customers) == 0


def test_a_change_holds_for_questions_and_events_alike(pipeline: FraudPipeline) -> None:
    changed = LIMITS.model_copy(update={"velocity_count": 2, "weights": {"velocity": 80}})
    fresh = build(Settings(fraud=changed))
    both = [(one, one.new_state("transactions", 0)) for one in (pipeline, fresh)]
    for one, state in both:
        apply(one, state, placed(1, decision="approve", scored=True), 0)
    pipeline.reconfigure(changed)
    answers = [one.answer(state, question(2), now=at(1)) for one, state in both]
    assert answers[0] == answers[1]
    assert (answers[0].decision, answers[0].reasons) == ("deny", ("velocity",))
    decided = [apply(one, state, placed(3), 2) for one, state in both]
    assert decided[0] is not None
    assert decided[1] is not None
    assert decided[0].verdict == decided[1].verdict
    assert decided[0].verdict.decision == "deny"


def test_a_rule_that_weighs_nothing_is_off(pipeline: FraudPipeline, state: FraudState) -> None:
    pipeline.reconfigure(LIMITS.model_copy(update={"weights": {"velocity": 0}}))
    answers = [pipeline.answer(state, question(i), now=at(i / 100)) for i in range(20)]
    assert {(answer.decision, answer.reasons) for answer in answers} == {("approve", ())}


def test_what_was_asked_before_expires_by_the_new_time(
    pipeline: FraudPipeline, state: FraudState
) -> None:
    for i in range(5):
        pipeline.answer(state, question(i), now=at(0))
    pipeline.reconfigure(LIMITS.model_copy(update={"provisional_ttl_s": 2.0}))
    assert pipeline.answer(state, question(5), now=at(2)).decision == "approve"
    assert len(state.provisional) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"review_score": 81}, r"fraud\.review_score \(81\) is above fraud\.deny_score \(80\)"),
        ({"amount_deny": 1999}, r"fraud\.amount_review .* above fraud\.amount_deny \(1999\)"),
    ],
)
def test_limits_that_contradict_each_other_change_nothing(
    pipeline: FraudPipeline, state: FraudState, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(Misconfigured, match=named):
        pipeline.reconfigure(LIMITS.model_copy(update=change))
    answers = [pipeline.answer(state, question(i), now=at(i / 100)) for i in range(6)]
    assert answers[-1].reasons == ("velocity",)
