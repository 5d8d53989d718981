from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap.config.settings.services.fraud import Fraud
from ecap.domain.fraud.features import Features
from ecap.domain.fraud.rules import RULES
from ecap.domain.fraud.scoring import judge
from ecap.pipelines.stream.fraud.thresholds import thresholds

CALM = Features(2_000, 1, 2_000, 0, False, False, 0.0, 0.0)
T = thresholds(Fraud())


@pytest.mark.parametrize(
    ("change", "decision", "reasons"),
    [
        ({}, "approve", ()),
        ({"amount_minor": T.amount_review_minor - 1}, "approve", ()),
        ({"amount_minor": T.amount_review_minor}, "review", ("amount_high",)),
        ({"amount_minor": T.amount_deny_minor}, "deny", ("amount_extreme",)),
        ({"velocity": T.velocity_count}, "review", ("velocity",)),
        ({"spend_minor": T.spend_minor}, "review", ("spend",)),
        (
            {"amount_minor": T.spend_minor, "spend_minor": T.spend_minor},
            "review",
            ("amount_high",),
        ),
        ({"velocity": 9, "spend_minor": 900_000}, "deny", ("velocity", "spend")),
        ({"small_cards": T.card_count - 1}, "approve", ()),
        ({"small_cards": T.card_count}, "deny", ("card_testing",)),
        ({"speed_kmh": 900.0, "away_km": 100.0}, "review", ("impossible_travel",)),
        # A jump of a few streets within a second is an address database's mistake.
        ({"speed_kmh": 36_000.0, "away_km": 10.0}, "approve", ()),
        ({"new_device": True, "new_card": True}, "approve", ("new_device", "new_card")),
        (
            {"new_device": True, "new_card": True, "amount_minor": T.takeover_minor},
            "review",
            ("account_takeover", "new_device", "new_card"),
        ),
        (
            {"new_device": True, "new_card": True, "away_km": 500.0, "speed_kmh": 2000.0},
            "deny",
            ("impossible_travel", "account_takeover", "new_device", "new_card"),
        ),
    ],
)
def test_decisions(change: dict[str, float], decision: str, reasons: tuple[str, ...]) -> None:
    verdict = judge(msgspec.structs.replace(CALM, **change), T)
    assert (verdict.decision, verdict.reasons) == (decision, reasons)
    assert 0 <= verdict.score <= 100


def test_an_extreme_amount_denies_whatever_the_scores() -> None:
    strict = replace(T, review_score=100, deny_score=100)
    extreme = msgspec.structs.replace(CALM, amount_minor=T.amount_deny_minor)
    assert judge(extreme, strict).decision == "deny"


_features = st.builds(
    Features,
    st.integers(0, 2_000_000),
    st.integers(1, 20),
    st.integers(0, 2_000_000),
    st.integers(0, 6),
    st.booleans(),
    st.booleans(),
    st.floats(0, 20_000),
    st.floats(0, 1e6),
)


@given(_features, st.integers(1, 100), st.integers(1, 100))
def test_the_score_decides(features: Features, one: int, other: int) -> None:
    thresholds = replace(T, review_score=min(one, other), deny_score=max(one, other))
    verdict = judge(features, thresholds)
    expected = "approve"
    if verdict.score >= thresholds.review_score:
        expected = "review"
    if verdict.score >= thresholds.deny_score:
        expected = "deny"
    assert verdict.decision == expected
    assert verdict.score == min(100, sum(r.weight for r in RULES if r.code in verdict.reasons))


def test_codes_are_unique_and_in_order_of_weight() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
    weights = [rule.weight for rule in RULES]
    assert weights == sorted(weights, reverse=True)
