"""Features kept up with each event equal features read from the whole history."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.domain.fraud.profile_oracle import Oracle

from ecap.config.settings.services.fraud import Fraud
from ecap.domain.fraud.features import Pending, features_of
from ecap.domain.fraud.profile import KNOWN_MAX, Known, Profile, Transaction
from ecap.pipelines.stream.fraud.thresholds import thresholds

THRESHOLDS = replace(
    thresholds(Fraud()),
    velocity_window=10,
    spend_window=25,
    card_window=15,
    card_small_minor=100,
    lateness=8,
)

_places = st.sampled_from([(None, None), (40.7, -74.0), (35.7, 139.7), (40.8, -74.1)])
_steps = st.lists(
    st.tuples(
        st.integers(-8, 12),  # never later than the lateness allows
        st.integers(0, 300),
        st.sampled_from("abcd"),
        st.sampled_from("xyz"),
        _places,
        st.booleans(),
    ),
    max_size=40,
)
Step = tuple[int, int, str, str, tuple[float | None, float | None], bool]


def _transactions(steps: list[Step]) -> list[tuple[Transaction, bool]]:
    newest, found = 1000, []
    for step, amount, card, device, (latitude, longitude), trusted in steps:
        at = newest + step
        newest = max(newest, at)
        found.append((Transaction(at, amount, card, device, latitude, longitude), trusted))
    return found


@given(_steps)
def test_features_equal_a_recomputation_from_scratch(steps: list[Step]) -> None:
    history, oracle = Profile(), Oracle()
    for tx, trusted in _transactions(steps):
        assert not history.is_late(tx.at, THRESHOLDS)
        assert features_of(history, tx, THRESHOLDS) == oracle.features(tx, THRESHOLDS)
        history.learn(tx, THRESHOLDS, trusted=trusted)
        oracle.seen.append((tx, trusted))


@given(_steps, st.integers(0, 40))
def test_a_history_from_a_snapshot_answers_the_same(steps: list[Step], cut: int) -> None:
    """Even when questions had moved its windows before the snapshot."""
    whole, restored = Profile(), Profile()
    for i, (tx, trusted) in enumerate(_transactions(steps)):
        if i == cut:
            restored = Profile.unpack(restored.pack())
        assert features_of(restored, tx, THRESHOLDS) == features_of(whole, tx, THRESHOLDS)
        for history in (whole, restored):
            history.learn(tx, THRESHOLDS, trusted=trusted)


@given(_steps)
def test_pending_transactions_count_like_events(steps: list[Step]) -> None:
    """All but the known devices and cards, which only events teach."""
    transactions = _transactions(steps)
    if not transactions:
        return
    *before, (last, _) = transactions
    history, oracle = Profile(), Oracle()
    oracle.seen = before
    pending = [Pending(tx, trusted) for tx, trusted in before]
    found = features_of(history, last, THRESHOLDS, pending=pending)
    expected = oracle.features(last, THRESHOLDS)
    assert not found.new_device
    assert found == msgspec.structs.replace(expected, new_device=False, new_card=False)


def test_a_refused_attempt_teaches_no_device() -> None:
    history = Profile()
    mine = Transaction(0, 500, "mine", "phone", 40.7, -74.0)
    theirs = Transaction(1, 500, "theirs", "other", 35.7, 139.7)
    history.learn(mine, THRESHOLDS, trusted=True)
    history.learn(theirs, THRESHOLDS, trusted=False)
    again = features_of(history, msgspec.structs.replace(theirs, at=2), THRESHOLDS)
    assert again.new_device
    assert again.new_card
    home = features_of(history, msgspec.structs.replace(mine, at=3), THRESHOLDS)
    assert home.away_km == 0


def test_late_is_beyond_the_lateness() -> None:
    history = Profile()
    history.learn(Transaction(100, 1, "c", "d", None, None), THRESHOLDS, trusted=True)
    assert not history.is_late(92, THRESHOLDS)
    assert history.is_late(91, THRESHOLDS)


def test_the_least_recently_used_device_is_forgotten() -> None:
    known = Known()
    for i in range(KNOWN_MAX):
        known.add(str(i), i)
    known.add("0", 50)
    known.add("new", 51)
    assert not known.is_new("0", 60)
    assert known.is_new("1", 60)
    assert len(known.first) == KNOWN_MAX


@pytest.mark.parametrize("at", [5, 10])
def test_a_device_is_known_from_when_it_was_first_used(at: int) -> None:
    known = Known()
    known.add("phone", 5)
    known.add("tablet", 10)
    known.add("phone", 12)
    assert not known.is_new("phone", at)
    assert known.is_new("tablet", at) is (at < 10)
