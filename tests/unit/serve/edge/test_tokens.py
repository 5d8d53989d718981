"""Which tokens are believed, and when the keys are asked for."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey, RSAKey

from ecap.errors import Unauthenticated, Unavailable
from ecap.mesh import Principal
from ecap.serve.edge.revocations import Revocations
from ecap.serve.edge.tokens import REFRESH_S, TokenVerifier, bearer

KEY = OKPKey.generate_key("Ed25519", parameters={"kid": "one"})
NEXT = OKPKey.generate_key("Ed25519", parameters={"kid": "two"})
NOW = 1_800_000_000
CLAIMS: dict[str, Any] = {
    "iss": "ecap",
    "aud": "shop",
    "sub": "me",
    "iat": NOW,
    "exp": NOW + 900,
    "roles": ["customer"],
    "scope": "orders:read orders:write",
}
HEADER = {"alg": "Ed25519", "kid": "one", "typ": "at+jwt"}


class Keys:
    """The JWKS of an auth service, counted."""

    def __init__(self, *keys: OKPKey) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.away = False

    async def __call__(self) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("auth is away")
        return {"keys": [key.as_dict(private=False) for key in self.keys]}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def wall(self) -> float:
        return NOW + self.now

    def monotonic(self) -> float:
        return self.now


class Desk:
    def __init__(self, **options: Any) -> None:
        self.keys = Keys(KEY)
        self.clock = Clock()
        self.verifier = TokenVerifier(
            self.keys,
            issuer="ecap",
            audience="shop",
            skew_s=5,
            clock=self.clock.wall,
            monotonic=self.clock.monotonic,
            **options,
        )

    async def verify(self, token: str) -> Principal:
        return await self.verifier.verify(token)


def token(key: OKPKey = KEY, header: dict[str, Any] | None = None, **claims: Any) -> str:
    merged = {k: v for k, v in {**CLAIMS, **claims}.items() if v is not None}
    return jwt.encode({**HEADER, **(header or {})}, merged, key, algorithms=["Ed25519"])


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims))
    return b".".join(part.rstrip(b"=") for part in parts).decode() + "." + signature


async def test_a_good_token_names_its_principal() -> None:
    desk = Desk()
    found = await desk.verify(token())
    assert found == Principal(
        "me", "user", frozenset({"customer"}), frozenset({"orders:read", "orders:write"})
    )
    assert desk.verifier.cached(token()) == found


async def test_says_what_the_access_hangs_on() -> None:
    desk = Desk()
    found = await desk.verify(token(sid="a session", epoch=7))
    assert (found.session, found.epoch) == ("a session", 7)
    for strange in ({"sid": 3, "epoch": "7"}, {"sid": None, "epoch": None}):
        found = await desk.verify(token(**strange))
        assert (found.session, found.epoch) == (None, 0)


async def test_who_has_heard_nothing_yet_believes_nobody() -> None:
    desk = Desk(revocations=Revocations())
    with pytest.raises(Unavailable):
        await desk.verify(token())


@pytest.mark.parametrize(
    "change",
    [
        {"header": {"typ": "JWT"}},
        {"header": {"typ": None}},
        {"header": {"typ": "rt+jwt"}},
        {"iss": "somebody"},
        {"aud": "another"},
        {"aud": ["another"]},
        {"exp": NOW - 5},
        {"exp": None},
        {"exp": "soon"},
        {"iat": NOW + 6},
        {"iat": None},
        {"sub": None},
        {"sub": ""},
        {"header": {"kid": "unknown"}},
        {"key": NEXT},
    ],
    ids=str,
)
async def test_others_are_refused(change: dict[str, Any]) -> None:
    header = {k: v for k, v in {**HEADER, **change.pop("header", {})}.items() if v is not None}
    key = change.pop("key", KEY)
    merged = {k: v for k, v in {**CLAIMS, **change}.items() if v is not None}
    made = jwt.encode(header, merged, key, algorithms=["Ed25519"])
    with pytest.raises(Unauthenticated):
        await Desk().verify(made)


@pytest.mark.parametrize("change", [{"exp": NOW - 4}, {"iat": NOW + 4}], ids=str)
async def test_clocks_may_differ_a_little(change: dict[str, Any]) -> None:
    assert (await Desk().verify(token(**change))).subject == "me"


async def test_no_other_algorithm() -> None:
    public = KEY.as_dict(private=False)["x"]
    rsa = RSAKey.generate_key(2048)
    forged = [
        unsigned({**HEADER, "alg": "none"}, CLAIMS),
        unsigned({**HEADER, "alg": "None"}, CLAIMS, "AAAA"),
        unsigned({**HEADER, "alg": ["Ed25519"]}, CLAIMS, "AAAA"),
        jwt.encode(
            {**HEADER, "alg": "HS256"}, CLAIMS, OctKey.import_key(str(public)), algorithms=["HS256"]
        ),
        jwt.encode({**HEADER, "alg": "RS256"}, CLAIMS, rsa, algorithms=["RS256"]),
    ]
    for one in forged:
        with pytest.raises(Unauthenticated):
            await Desk().verify(one)


async def test_a_changed_token_is_refused() -> None:
    head, body, signature = token().split(".")
    _, other, _ = token(sub="admin").split(".")
    with pytest.raises(Unauthenticated):
        await Desk().verify(f"{head}.{other}.{signature}")
    with pytest.raises(Unauthenticated):
        await Desk().verify(f"{head}.{body}.{signature[:-4]}AAAA")


@settings(max_examples=60)
@given(st.text(max_size=80) | st.text('aA0._-=eyJ{}"', max_size=120))
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(Unauthenticated):
        asyncio.run(Desk().verify(text))


async def test_a_cached_token_expires_too() -> None:
    desk = Desk()
    await desk.verify(token())
    desk.clock.now = 904
    assert desk.verifier.cached(token()) is not None
    desk.clock.now = 905
    assert desk.verifier.cached(token()) is None
    with pytest.raises(Unauthenticated):
        await desk.verify(token())


async def test_keys_are_asked_for_once() -> None:
    desk = Desk()
    await asyncio.gather(*(desk.verify(token(jti=str(n))) for n in range(20)))
    assert desk.keys.asked == 1


async def test_unknown_keys_do_not_become_calls() -> None:
    desk = Desk()
    for n in range(20):
        with pytest.raises(Unauthenticated):
            await desk.verify(token(header={"kid": f"made up {n}"}))
    assert desk.keys.asked == 1
    assert await desk.verify(token())


async def test_a_new_key_is_found_without_a_restart() -> None:
    desk = Desk()
    await desk.verify(token())
    desk.keys.keys.append(NEXT)
    desk.clock.now = REFRESH_S
    assert (await desk.verify(token(NEXT, {"kid": "two"}))).subject == "me"
    assert desk.keys.asked == 2


async def test_while_auth_is_away_nobody_is_called_wrong() -> None:
    desk = Desk()
    desk.keys.away = True
    for _ in range(10):
        with pytest.raises(Unavailable):
            await desk.verify(token())
    assert desk.keys.asked == 1
    desk.keys.away = False
    desk.clock.now = 1
    assert (await desk.verify(token())).subject == "me"


async def test_known_keys_outlive_the_auth_service() -> None:
    desk = Desk()
    await desk.verify(token())
    desk.keys.away = True
    desk.clock.now = 60
    assert (await desk.verify(token(sub="other"))).subject == "other"


async def test_who_gives_up_waiting_does_not_spoil_it_for_others() -> None:
    desk = Desk()
    impatient = asyncio.create_task(desk.verify(token()))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await desk.verify(token(sub="patient"))).subject == "patient"


async def test_another_source_of_keys() -> None:
    desk = Desk()
    desk.verifier.ask(Keys(NEXT))
    assert (await desk.verify(token(NEXT, {"kid": "two"}))).subject == "me"
    assert desk.keys.asked == 0


async def test_fixed_secrets() -> None:
    scraper = Principal("scraper", "service", scopes=frozenset({"metrics:read"}))
    desk = Desk(fixed={"the secret": scraper})
    assert await desk.verify("the secret") == scraper
    for nearly in ("the secre", "the secret ", "The secret"):
        with pytest.raises(Unauthenticated):
            await desk.verify(nearly)
    assert desk.keys.asked == 0


@pytest.mark.parametrize(
    ("header", "found"),
    [(None, None), (b"Bearer abc", "abc"), (b"bearer  abc ", "abc"), (b"BEARER a.b.c", "a.b.c")],
)
def test_bearer(header: bytes | None, found: str | None) -> None:
    assert bearer(header) == found


@pytest.mark.parametrize("header", [b"", b"Bearer", b"Bearer ", b"Basic abc", b"abc", b"\xff"])
def test_no_bearer(header: bytes) -> None:
    with pytest.raises(Unauthenticated):
        bearer(header)
