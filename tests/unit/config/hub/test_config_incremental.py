"""What is kept from one candidate to the next never shows in the result."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap.config.hub.incremental import Incremental
from ecap.config.layers import schema
from ecap.config.layers.layer import Given, Layer, resolve
from ecap.config.layers.overrides import Override, layer
from ecap.config.layers.validation import validate
from ecap.config.protocol import leaves_of
from ecap.config.settings.tree import Settings
from ecap.errors import Misconfigured

_VALUES: dict[str, list[Any]] = {
    "log.level": ["INFO", "ERROR", "LOUD"],
    "fraud.deny_score": [80, "81", 101],
    "limits.address.burst": [1, 10],
    "http.cors.origins": [[], ["https://a.example"]],
    "mesh.callees.auth.timeout_s": [1.0, 2, "x"],
    "flags.checkout": [True, 1, "25%"],
    "smtp.username": ["a"],
    "orders.no_such_thing": [1],
}
_EDIT = st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in _VALUES.items()})


def result(incremental: Incremental, base: dict[str, Any], over: dict[str, Any]) -> Any:
    """Settings and leaves, or what refuses them."""
    given_ = {"base": Layer("base", {k: Given(v, f"base: {k}") for k, v in base.items()})}
    present = {k: Override(value=v, author="ann", reason="", at=0.0) for k, v in over.items()}
    found = incremental.found(given_, present)  # type: ignore[arg-type]
    layers = {"defaults": schema.defaults(), **given_, "override": layer(present)}
    assert found == resolve(layers)  # type: ignore[arg-type]
    values = {key: entry.given.value for key, entry in found.items()}
    try:
        return incremental.settings(values, found)
    except Misconfigured as exc:
        with pytest.raises(Misconfigured) as alone:
            validate(values, found)
        return exc.detail, alone.value.detail


@given(st.lists(st.tuples(_EDIT, _EDIT), min_size=1, max_size=6))
def test_any_sequence_gives_what_each_would_give_alone(
    changes: list[tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    kept = Incremental()
    for base, over in changes:
        found = result(kept, base, over)
        assert found == result(Incremental(), base, over)
        if isinstance(found[0], Settings):
            assert found[1] == leaves_of(found[0])


def test_values_that_are_equal_are_told_apart() -> None:
    """`flags.checkout: 1` is no flag, though 1 equals true."""
    kept = Incremental()
    result(kept, {"flags.checkout": True}, {})
    said, alone = result(kept, {"flags.checkout": 1}, {})
    assert said == alone
    assert "flags.checkout" in said


def test_what_does_not_differ_is_not_made_again() -> None:
    kept = Incremental()
    first, _ = result(kept, {}, {})
    second, leaves = result(kept, {}, {"log.level": "ERROR"})
    assert second.log.level == leaves["log.level"] == "ERROR"
    assert second.http is first.http
