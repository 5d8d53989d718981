"""What the security log takes, and what it does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap.domain.events.admission import admit_entry
from ecap.domain.events.audit import DETAILS_MAX_BYTES, AuditEntry, details_text, storable
from ecap.domain.events.codec import decode, encode
from ecap.domain.events.envelope import new_event

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


def entry(**changes: Any) -> AuditEntry:
    facts = {"action": "login", "outcome": "done", "actor": "ann", "actor_kind": "user"}
    return AuditEntry(**{**facts, **changes})


@given(st.dictionaries(TEXTS, TEXTS | st.integers(-(2**31), 2**31) | st.booleans(), max_size=5))
def test_details_come_through_unless_they_hold_a_nul(details: dict[str, Any]) -> None:
    event = new_event(entry(details=details), key="k", producer="auth", now=datetime.now(UTC))
    told = decode(encode(event)).payload
    assert isinstance(told, AuditEntry)
    nul = any("\x00" in str(text) for pair in details.items() for text in pair)
    assert storable(details) is not nul
    if nul:
        with pytest.raises(ValueError, match="NUL"):
            details_text(told)
    else:
        assert json.loads(details_text(told)) == details


@pytest.mark.parametrize(("text", "kept"), [("\\u0000", True), ("\x00", False), ("\\\x00", False)])
def test_text_about_a_nul_is_none(text: str, kept: bool) -> None:
    assert storable({"text": text}) is kept


@pytest.mark.parametrize(
    "change",
    [{"actor": "x" * 501}, {"subject": "a\x00b"}, {"details": {"x": "y" * DETAILS_MAX_BYTES}}],
)
def test_what_does_not_fit_goes_to_the_dead_letters(change: dict[str, Any]) -> None:
    admit_entry(entry())
    with pytest.raises(ValueError):
        admit_entry(entry(**change))
