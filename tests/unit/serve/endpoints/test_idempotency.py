"""What makes two requests the same."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from ecap.domain.values.ids import new_id
from ecap.errors import Invalid, Malformed
from ecap.mesh import Principal
from ecap.serve.endpoints.idempotency import Attempt, attempt, replayed
from ecap.serve.endpoints.routing import Call, Raw


class Body(BaseModel):
    units: int


def call(key: bytes | None, *, user: str, path: str = "/orders") -> Call[Any]:
    headers = {} if key is None else {b"idempotency-key": key}
    return Call(
        state=None,
        principal=Principal(user, "user"),
        headers=headers,
        address="127.0.0.1",
        request_id="r",
        traceparent="t",
        path=path,
    )


@pytest.mark.parametrize("key", [b"a", b"x" * 255, b"with space", b'~!"#'])
def test_printable_keys_are_taken_as_they_are(key: bytes) -> None:
    assert attempt(call(key, user=str(new_id())), Body(units=1)).key == key.decode()


@pytest.mark.parametrize("key", [None, b"", b"x" * 256, b"a\nb", "ä".encode(), b"\x7f"])
def test_others_are_refused(key: bytes | None) -> None:
    with pytest.raises(Malformed, match="Idempotency-Key"):
        attempt(call(key, user=str(new_id())), Body(units=1))


def test_path_and_body_make_the_request() -> None:
    user = str(new_id())
    first = attempt(call(b"k", user=user), Body(units=1))
    attempt(call(b"k", user=user), Body(units=1)).check(first.fingerprint)
    for other in (
        attempt(call(b"k", user=user), Body(units=2)),
        attempt(call(b"k", user=user, path="/others"), Body(units=1)),
    ):
        with pytest.raises(Invalid, match="another body"):
            other.check(first.fingerprint)


def test_locks_are_of_a_user_and_a_key() -> None:
    user = new_id()
    locks = {
        Attempt(user, "k", b"").lock,
        Attempt(user, "l", b"").lock,
        Attempt(new_id(), "k", b"").lock,
    }
    assert len(locks) == 3
    assert all(-(2**63) <= lock < 2**63 for lock in locks)
    assert Attempt(user, "k", b"1").lock == Attempt(user, "k", b"2").lock


def test_a_replayed_answer_says_so() -> None:
    again = replayed(Raw(b"{}", "application/json", 201, (("etag", '"1"'),)))
    assert (again.status, again.body) == (201, b"{}")
    assert dict(again.headers) == {"etag": '"1"', "idempotent-replayed": "true"}
