"""What the hub gives to members: packed once, and read as little as is needed."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ecap.config.layers.keys import unflatten
from ecap.config.protocol import Changes, Snapshot, leaves_of, settings_of
from ecap.config.settings.tree import Settings

_VALUES: dict[str, list[Any]] = {
    "log.level": ["INFO", "ERROR"],
    "http.request_timeout_s": [1, 1.0, 2.5],
    "http.cors.origins": [[], ["https://a.example"], ["https://a.example", "https://b.example"]],
    "limits.address.burst": [10, 20],
    "limits.enabled": [True, False],
    "mesh.service_key": ["one", "two"],
    "mesh.callees.auth.timeout_s": [1.0, 2.0],
    "mesh.callees.users.timeout_s": [1.0, 2.0],
    "flags.checkout": [True, False, "25%"],
    "smtp.username": ["a", None],
}
_KNOWN = leaves_of(Settings())
_EDITS = st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in _VALUES.items()})


def snapshot(version: int, edit: dict[str, Any]) -> Snapshot:
    settings = Settings.model_validate(unflatten(_KNOWN | edit))
    return Snapshot.of(version, leaves_of(settings))


@given(_EDITS, _EDITS)
def test_what_is_made_beside_the_present_equals_what_is_made_anew(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    before, after = snapshot(1, one), snapshot(2, two)
    found = Changes.between(before, after).settings(settings_of(before.leaves))
    assert found == settings_of(after.leaves)
    assert leaves_of(found) == after.leaves


def test_what_does_not_differ_is_not_made_again() -> None:
    before, after = snapshot(1, {}), snapshot(2, {"log.level": "ERROR"})
    present = settings_of(before.leaves)
    found = Changes.between(before, after).settings(present)
    assert found.log.level == "ERROR"
    assert found.http is present.http


def test_types_that_are_equal_are_told_apart() -> None:
    """`flags.checkout: 1` is no flag, though 1 equals true."""
    before = snapshot(1, {"flags.checkout": True})
    after = Snapshot.of(2, {**before.leaves, "flags.checkout": 1})
    for content in (after, Changes.between(before, after)):
        with pytest.raises(ValidationError, match=r"flags\.checkout"):
            content.settings(settings_of(before.leaves))


def test_what_is_not_valid_is_refused_also_where_the_rest_is_kept() -> None:
    before = snapshot(1, {})
    after = Snapshot.of(2, {**before.leaves, "log.level": "LOUD"})
    with pytest.raises(ValidationError, match=r"log\.level"):
        Changes.between(before, after).settings(settings_of(before.leaves))


def test_it_travels_packed_and_shows_no_secret() -> None:
    found = snapshot(3, {"mesh.service_key": "canary-of-a-key"})
    assert found.leaves["mesh.service_key"] == "canary-of-a-key"
    again = pickle.loads(pickle.dumps(found))  # noqa: S301  of our own
    assert again == found
    assert vars(again).keys() == {"version", "packed", "ends"}
    assert "canary" not in repr(again)
