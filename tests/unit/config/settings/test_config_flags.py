"""Features that are on for a share of the users."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ecap.config import Settings
from ecap.config.settings.flags import Feature

NEW = Feature("new", default=False)
CHOSEN = ["user-3", "user-4", "user-7", "user-11", "user-12", "user-13", "user-19"]
PEOPLE = [f"user-{number}" for number in range(2000)]


def test_a_flag_is_on_off_or_as_the_code_says() -> None:
    assert not NEW.on({}, "ana")
    assert Feature("old", default=True).on({}, "ana")
    assert NEW.on({"new": True}, "ana")
    assert not Feature("old", default=True).on({"old": False}, "ana")


@given(st.floats(0, 99.9), st.floats(0, 99.9), st.text())
def test_a_larger_share_keeps_everybody(one: float, other: float, who: str) -> None:
    low, high = (f"{share:.3f}%" for share in sorted((one, other)))
    assert NEW.on({"new": low}, who) <= NEW.on({"new": high}, who)


def test_a_share_is_that_share_and_another_one_for_each_feature() -> None:
    flags = {"new": "25%", "other": "25%"}
    chosen = {who for who in PEOPLE if NEW.on(flags, who)}
    others = {who for who in PEOPLE if Feature("other", default=False).on(flags, who)}
    assert 400 < len(chosen) < 600
    assert 50 < len(chosen & others) < 200


def test_nobody_and_everybody() -> None:
    assert not any(NEW.on({"new": "0%"}, who) for who in PEOPLE)
    assert all(NEW.on({"new": "100%"}, who) for who in PEOPLE)


def test_the_same_in_every_process() -> None:
    """The hash is part of the contract: another one would change who has what."""
    assert [who for who in PEOPLE[:20] if NEW.on({"new": "20%"}, who)] == CHOSEN


@pytest.mark.parametrize(
    ("given", "kept"),
    [(True, True), ("on", True), ("False", False), ("25%", "25%"), ("0.5%", "0.5%")],
)
def test_what_is_understood(given: object, kept: object) -> None:
    assert Settings.model_validate({"flags": {"checkout": given}}).flags == {"checkout": kept}


@pytest.mark.parametrize("given", [25, 0.5, "101%", "-1%", "maybe", None, ["a"]])
def test_what_is_not(given: object) -> None:
    with pytest.raises(ValidationError, match="a share such as 25%") as caught:
        Settings.model_validate({"flags": {"checkout": given}})
    assert caught.value.errors()[0]["loc"] == ("flags", "checkout")
