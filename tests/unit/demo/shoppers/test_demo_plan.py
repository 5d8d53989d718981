from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.demo.demo_world import shelf

from ecap.config.settings.services.fraud import Fraud
from ecap.demo.shoppers.plan import Wishes, plan
from ecap.demo.shoppers.shelf import total_minor
from ecap.demo.shoppers.steps import Buy, Visit
from ecap.domain.events.orders import Decision
from ecap.domain.fraud.features import features_of
from ecap.domain.fraud.profile import Profile, Transaction
from ecap.domain.fraud.scoring import judge
from ecap.domain.values.windows import SECOND
from ecap.pipelines.stream.fraud.thresholds import thresholds

LIMITS = thresholds(Fraud())


def planned(**wishes: object) -> list[Visit]:
    chosen = {"seed": 7, "seconds": 60.0, "rate": 10.0, **wishes}
    return plan(Wishes(**chosen), shelf(), run="r", thresholds=LIMITS)  # type: ignore[arg-type]


def orders(visits: list[Visit]) -> list[tuple[float, Buy]]:
    return [
        (step.at_s, step.action)
        for visit in visits
        for step in visit.steps
        if isinstance(step.action, Buy)
    ]


def test_the_same_seed_gives_the_same_plan() -> None:
    assert planned() == planned()
    assert planned(seed=8) != planned()


@pytest.mark.parametrize("rate", [0.2, 1.0, 10.0, 40.0])
@pytest.mark.parametrize("seconds", [5.0, 60.0, 300.0])
def test_the_rate_is_kept(rate: float, seconds: float) -> None:
    count = len(orders(planned(rate=rate, seconds=seconds)))
    assert count == max(1, round(rate * seconds))


def test_orders_come_evenly() -> None:
    by_quarter = Counter(int(at_s // 15) for at_s, _ in orders(planned()))
    assert set(by_quarter) == {0, 1, 2, 3}
    assert all(110 <= count <= 190 for count in by_quarter.values()), by_quarter


@given(
    seed=st.integers(),
    seconds=st.floats(1, 300),
    rate=st.floats(0.1, 10),
    shoppers=st.none() | st.integers(1, 300),
)
@settings(max_examples=15, deadline=None)
def test_every_plan_can_be_followed(
    seed: int, seconds: float, rate: float, shoppers: int | None
) -> None:
    visits = planned(seed=seed, seconds=seconds, rate=rate, shoppers=shoppers)
    assert shoppers is None or len(visits) == shoppers
    for visit in visits:
        times = [visit.arrives_s, *(step.at_s for step in visit.steps)]
        assert all(before <= after for before, after in pairwise(times))
        assert times[0] >= 0
        assert times[-1] <= seconds
        assert [order.number for order in visit.orders] == list(range(len(visit.orders)))
        assert all(order.basket and total_minor(order.basket) > 0 for order in visit.orders)
        for order in visit.orders:
            ids = [wanted.goods.id for wanted in order.basket]
            assert len(ids) == len(set(ids))


def verdicts(visit: Visit) -> list[tuple[Buy, Decision]]:
    """What the real rules say when every event arrives at once."""
    history, found = Profile(), []
    for step in visit.steps:
        if not isinstance(step.action, Buy):
            continue
        order = step.action
        transaction = Transaction(
            int(step.at_s * SECOND),
            total_minor(order.basket),
            order.card,
            order.device,
            order.place.latitude,
            order.place.longitude,
        )
        verdict = judge(features_of(history, transaction, LIMITS), LIMITS)
        history.learn(transaction, LIMITS, trusted=verdict.decision == "approve")
        found.append((order, verdict.decision))
    return found


def test_the_rules_catch_what_is_planted_and_leave_honest_people_alone() -> None:
    outcomes: dict[str, list[list[tuple[Buy, Decision]]]] = defaultdict(list)
    for visit in planned():
        outcomes[visit.person.kind].append(verdicts(visit))
    for kind in ("card_tester", "account_taker", "traveller"):
        assert outcomes[kind]
        for script in outcomes[kind]:
            assert any(order.planted and decision != "approve" for order, decision in script), kind
            assert not any(not o.planted and decision != "approve" for o, decision in script)
    honest = [decision for script in outcomes["honest"] for _, decision in script]
    assert len(honest) > 500
    assert honest.count("approve") / len(honest) > 0.97


def test_few_people_are_all_honest() -> None:
    assert {visit.person.kind for visit in planned(shoppers=3)} == {"honest"}


def test_people_of_two_runs_are_two_people() -> None:
    one = planned()[0].person
    other = plan(Wishes(7, 60.0, 10.0), shelf(), run="s", thresholds=LIMITS)[0].person
    assert one.name == other.name
    assert (one.email, one.card, one.device) != (other.email, other.card, other.device)
