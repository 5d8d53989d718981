from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap.mesh import Trace

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def test_the_example_of_the_recommendation_is_read_and_written_unchanged() -> None:
    header = f"00-{TRACE}-{SPAN}-01"
    trace = Trace.parse(header)
    assert trace == Trace(TRACE, SPAN, 1)
    assert trace.sampled
    assert trace.traceparent == header


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-extra",
        f"00-{TRACE}-{SPAN}-01 ",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"01-{TRACE}-{SPAN}-01extra",
    ],
)
def test_what_the_recommendation_calls_invalid_is_not_read(header: str) -> None:
    assert Trace.parse(header) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert Trace.parse(f"cc-{TRACE}-{SPAN}-ff-later") == Trace(TRACE, SPAN, 3)


def test_a_child_stays_in_the_trace_and_knows_its_parent() -> None:
    parent = Trace(TRACE, SPAN, 0)
    child = parent.child()
    assert (child.trace_id, child.parent_id, child.flags) == (TRACE, SPAN, 0)
    assert re.fullmatch("[0-9a-f]{16}", child.span_id)
    assert child.span_id not in (SPAN, parent.child().span_id)


@given(sampled=st.booleans())
def test_a_new_trace_can_be_read_by_anyone(sampled: bool) -> None:
    trace = Trace.new(sampled=sampled)
    assert Trace.parse(trace.traceparent) == trace
    assert trace.sampled is sampled


@given(st.text())
def test_no_header_breaks_the_reader(header: str) -> None:
    Trace.parse(header)
