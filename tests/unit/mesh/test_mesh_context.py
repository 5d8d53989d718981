from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap import logs
from ecap.errors import Malformed
from ecap.mesh import ANONYMOUS, CallContext, Principal, Trace, current, use

names = st.text(max_size=20)
principals = st.builds(
    Principal,
    names.filter(bool),
    st.sampled_from(("user", "service")),
    st.frozensets(names, max_size=3),
    st.frozensets(names, max_size=3),
)


@given(principal=principals, timeout_s=st.floats(0.001, 1e6))
def test_a_context_survives_the_way_to_an_actor(principal: Principal, timeout_s: float) -> None:
    sent = CallContext.new(principal=principal)
    got = CallContext.from_headers(sent.to_headers(timeout_s=timeout_s), now=50.0, trusted=True)
    assert got.request_id == sent.request_id
    assert got.trace.trace_id == sent.trace.trace_id
    assert got.principal == principal
    assert got.remaining_s(50.0) == pytest.approx(timeout_s, abs=1e-5)


def test_each_call_is_a_span_below_the_callers() -> None:
    context = CallContext.new()
    spans = {context.to_headers(timeout_s=None)["traceparent"] for _ in range(3)}
    assert len(spans) == 3
    assert context.trace.traceparent not in spans
    received = CallContext.from_headers({"traceparent": context.trace.traceparent}, now=0.0)
    assert received.trace.parent_id == context.trace.span_id


def test_a_stranger_cannot_name_the_principal() -> None:
    headers = CallContext.new(principal=Principal("root", "user")).to_headers(timeout_s=None)
    assert CallContext.from_headers(headers, now=0.0).principal is ANONYMOUS


def test_nobody_and_no_deadline_take_no_headers() -> None:
    assert set(CallContext.new().to_headers(timeout_s=None)) == {"x-request-id", "traceparent"}


def test_a_context_without_headers_is_new() -> None:
    first, second = (CallContext.from_headers({}, now=0.0) for _ in range(2))
    assert first.request_id != second.request_id
    assert first.trace.trace_id != second.trace.trace_id
    assert first.deadline is None
    assert first.remaining_s(7.0) is None


@pytest.mark.parametrize("request_id", ["", "a b", "a\nb", "x" * 129, "é", '"'])
def test_a_request_id_that_could_forge_a_log_line_is_replaced(request_id: str) -> None:
    context = CallContext.from_headers({"x-request-id": request_id, "traceparent": "?"}, now=0.0)
    assert context.request_id != request_id
    assert len(context.request_id) == 32


def test_timeouts_have_a_default_and_a_maximum() -> None:
    def remaining(header: str | None) -> float | None:
        headers = {} if header is None else {"x-request-timeout": header}
        context = CallContext.from_headers(
            headers, now=10.0, default_timeout_s=3.0, max_timeout_s=5.0
        )
        return context.remaining_s(10.0)

    assert [remaining(h) for h in (None, "1.5", "0", "90")] == [3.0, 1.5, 0.0, 5.0]


@pytest.mark.parametrize("header", ["", "-1", "1e3", "nan", "inf", "1_0", " 1", "1s", "٣"])
def test_a_wrong_timeout_is_refused(header: str) -> None:
    with pytest.raises(Malformed):
        CallContext.from_headers({"x-request-timeout": header}, now=0.0)


@pytest.mark.parametrize("header", ["", "[]", '{"subject":1,"kind":"user"}', '{"subject":"a"}'])
def test_a_wrong_principal_is_refused(header: str) -> None:
    with pytest.raises(Malformed):
        CallContext.from_headers({"x-ecap-principal": header}, now=0.0, trusted=True)


def test_a_context_is_current_only_while_used_and_on_log_lines() -> None:
    outer, inner = CallContext.new(), CallContext.new(principal=Principal("u1", "user"))
    with use(outer):
        with use(inner) as used:
            assert used is inner is current()
            assert logs.bound() == {
                "request_id": inner.request_id,
                "trace_id": inner.trace.trace_id,
                "principal": "u1",
            }
        assert current() is outer
        assert logs.bound()["request_id"] == outer.request_id
    assert current() is not outer
    assert "request_id" not in logs.bound()


def test_outside_of_a_request_each_call_is_its_own() -> None:
    assert current().request_id != current().request_id


async def test_tasks_inherit_the_context() -> None:
    context = CallContext.new()

    async def work() -> CallContext:
        return current()

    with use(context):
        task = asyncio.create_task(work(), name="work")
    assert await task is context


def test_the_bearer_token_is_not_shown() -> None:
    context = CallContext("r", Trace.new(), bearer="s3cret")
    assert "s3cret" not in repr(context)
    assert "s3cret" not in str(context.to_headers(timeout_s=1.0))
