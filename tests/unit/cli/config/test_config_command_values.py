"""What is typed after `ecap config set`."""

from __future__ import annotations

from typing import Any

import pytest

from ecap.cli.config.changes import canary_of, seconds_of, sets_of, value_of
from ecap.errors import Invalid


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("orders.max_lines", "5", 5),
        ("orders.decision_timeout_s", "0.5", 0.5),
        ("limits.enabled", "false", False),
        ("flags.checkout", "true", True),
        ("orders.currency", "EUR", "EUR"),
        ("fraud.amount_review", "2000.10", "2000.10"),
        ("smtp.password", "vault:a/b#c", "vault:a/b#c"),
        ("smtp.password", "12345", "12345"),
        ("smtp.host", "null", None),
        ("http.cors.origins", '["https://a.example"]', ["https://a.example"]),
        ("orders.max_lines", "many", "many"),
    ],
)
def test_a_value_is_of_the_settings_kind(key: str, text: str, value: Any) -> None:
    found = value_of(key, text)
    assert (found, type(found)) == (value, type(value))


def test_an_unknown_name_has_a_neighbour() -> None:
    with pytest.raises(Invalid, match=r"did you mean orders\.max_lines"):
        value_of("orders.max_line", "1")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("30s", 30), ("1.5m", 90), ("2h", 7200), ("1d", 86400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text, "--expires") == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "5 weeks", "1e3"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(Invalid, match="--expires"):
        seconds_of(text, "--expires")


def test_canaries() -> None:
    assert canary_of("20%") == {"share": 0.2}
    assert canary_of("limits, relay") == {"members": ["limits", "relay"]}
    with pytest.raises(Invalid, match="20%"):
        canary_of("some%")


def test_one_setting_or_several() -> None:
    assert sets_of(["orders.max_lines", "5"]) == {"orders.max_lines": 5}
    assert sets_of(["smtp.username", "a=b"]) == {"smtp.username": "a=b"}
    assert sets_of(["orders.max_lines=5"]) == {"orders.max_lines": 5}
    assert sets_of(["orders.max_lines=5", "smtp.username=a=b"]) == {
        "orders.max_lines": 5,
        "smtp.username": "a=b",
    }


@pytest.mark.parametrize(
    "words",
    [
        ["smtp.password"],
        ["smtp.password", "canary", "x"],
        ["orders.max_lines=5", "canary"],
        ["orders.max_lines=5", "orders.max_lines=6"],
        ["orders.max_line=5"],
    ],
)
def test_what_is_no_setting_and_value(words: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        sets_of(words)
    assert "canary" not in caught.value.detail
