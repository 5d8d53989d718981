from __future__ import annotations

import base64
import json

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from ecap.errors import Misconfigured, Unauthenticated
from ecap.mesh import Principal, ServiceIdentity

KEY = b"k" * 32


class Wall:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def orders(wall: Wall) -> ServiceIdentity:
    return ServiceIdentity("orders", key=KEY, now=wall)


@pytest.fixture
def fraud(wall: Wall) -> ServiceIdentity:
    return ServiceIdentity("fraud", key=KEY, now=wall)


def test_the_callee_learns_which_service_calls(
    orders: ServiceIdentity, fraud: ServiceIdentity
) -> None:
    caller = fraud.verify(orders.token("fraud"))
    assert caller == Principal("orders", "service", frozenset({"service"}))
    assert not caller.has("orders:read")


def test_a_token_is_for_one_callee(orders: ServiceIdentity, fraud: ServiceIdentity) -> None:
    with pytest.raises(Unauthenticated, match="another service"):
        fraud.verify(orders.token("catalog"))


def test_a_token_is_kept_for_two_thirds_of_its_life(orders: ServiceIdentity, wall: Wall) -> None:
    first = orders.token("fraud")
    wall.now += 39.9
    assert orders.token("fraud") is first
    assert orders.token("catalog") != first
    wall.now += 0.2
    assert orders.token("fraud") != first


def test_a_token_is_made_anew_after_the_clock_was_set_back(
    orders: ServiceIdentity, fraud: ServiceIdentity, wall: Wall
) -> None:
    orders.token("fraud")
    wall.now -= 3600
    fraud.verify(orders.token("fraud"))


@pytest.mark.parametrize(("age_s", "valid"), [(64, True), (66, False), (-4, True), (-6, False)])
def test_a_token_lives_a_minute_give_or_take_five_seconds(
    orders: ServiceIdentity, fraud: ServiceIdentity, wall: Wall, age_s: float, valid: bool
) -> None:
    token = orders.token("fraud")
    wall.now += age_s
    if valid:
        fraud.verify(token)
        return
    with pytest.raises(Unauthenticated, match="expired"):
        fraud.verify(token)


def test_a_token_under_another_key_is_refused(fraud: ServiceIdentity, wall: Wall) -> None:
    forger = ServiceIdentity("orders", key=b"x" * 32, now=wall)
    with pytest.raises(Unauthenticated):
        fraud.verify(forger.token("fraud"))


def test_an_unsigned_token_is_refused(orders: ServiceIdentity, fraud: ServiceIdentity) -> None:
    _, claims, _ = orders.token("fraud").split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    with pytest.raises(Unauthenticated):
        fraud.verify(f"{header}.{claims}.")


@pytest.mark.parametrize("position", range(0, 160, 7))
def test_a_token_with_one_letter_changed_is_refused(
    orders: ServiceIdentity, fraud: ServiceIdentity, position: int
) -> None:
    token = orders.token("fraud")
    letter = "A" if token[position] != "A" else "B"
    with pytest.raises(Unauthenticated):
        fraud.verify(token[:position] + letter + token[position + 1 :])


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é", "\x00", "a" * 5000, "e30.e30.e30"])
def test_what_is_no_token_is_refused(fraud: ServiceIdentity, token: str) -> None:
    with pytest.raises(Unauthenticated):
        fraud.verify(token)


@pytest.mark.parametrize(
    "changed", [{"iss": "ecap"}, {"sub": 7}, {"exp": "later"}, {"iat": None}, {"aud": None}]
)
def test_a_well_signed_token_still_needs_the_right_claims(
    fraud: ServiceIdentity, wall: Wall, changed: dict[str, object]
) -> None:
    claims = {
        "iss": "ecap-mesh",
        "sub": "orders",
        "aud": "fraud",
        "iat": int(wall.now),
        "exp": int(wall.now) + 60,
    }
    key = OctKey.import_key(KEY)
    fraud.verify(jwt.encode({"alg": "HS256"}, claims, key))
    with pytest.raises(Unauthenticated):
        fraud.verify(jwt.encode({"alg": "HS256"}, claims | changed, key))


def test_a_short_key_is_refused_by_its_setting() -> None:
    with pytest.raises(Misconfigured, match=r"mesh\.service_key") as caught:
        ServiceIdentity("orders", key=b"too short")
    assert "too short" not in str(caught.value)


NEW = b"n" * 32


@pytest.mark.parametrize("first", ["caller", "callee"])
@pytest.mark.parametrize("apart_s", [0.0, 9.0])
def test_no_token_is_refused_while_the_key_changes(
    orders: ServiceIdentity, fraud: ServiceIdentity, wall: Wall, first: str, apart_s: float
) -> None:
    """Whoever hears of it first, and for as long as any token lives."""
    early, late = (orders, fraud) if first == "caller" else (fraud, orders)
    early.replace_key(NEW)
    told = wall.now + apart_s
    for _ in range(300):
        if wall.now >= told:
            late.replace_key(NEW)
        fraud.verify(orders.token("fraud"))
        wall.now += 0.5
    assert ServiceIdentity("fraud", key=NEW, now=wall).verify(orders.token("fraud"))
    old = ServiceIdentity("orders", key=KEY, now=wall).token("fraud")
    with pytest.raises(Unauthenticated):
        fraud.verify(old)


def test_a_key_that_is_taken_back_never_signed(
    orders: ServiceIdentity, fraud: ServiceIdentity, wall: Wall
) -> None:
    orders.replace_key(NEW)
    wall.now += 1
    orders.replace_key(KEY)
    for _ in range(200):
        fraud.verify(orders.token("fraud"))
        wall.now += 0.5


def test_a_weak_key_changes_nothing(orders: ServiceIdentity, fraud: ServiceIdentity) -> None:
    with pytest.raises(Misconfigured, match=r"mesh\.service_key"):
        orders.replace_key(b"short")
    fraud.verify(orders.token("fraud"))
