"""The keyring of a running process: rotations without a restart, and what is refused."""

from __future__ import annotations

from uuid import UUID

import pytest
from cryptography.fernet import Fernet

from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import Stored
from ecap.config.secrets.rows import SealedRows
from ecap.config.settings.keyring import Keyring as Section
from ecap.errors import Misconfigured, Unavailable

ROW = UUID(int=7)
PLANTED = {"email": "planted@example.org"}


class Store:
    def __init__(self) -> None:
        self.ring = Keyring([new_key(now=0)])
        self.away = False
        self.looks = 0

    async def load(self) -> Stored:
        self.looks += 1
        if self.away:
            raise Unavailable("the store is away")
        return Stored(self.ring, str(self.looks))

    def rotate(self) -> None:
        added = self.ring.add(now=1)
        self.ring = added.promote(added.keys[-1].id)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def live(store: Store, clock: Clock) -> LiveKeyring:
    return LiveKeyring(store.ring, store.load, Section(poll_s=1, trust_s=10), clock=clock)


async def test_what_a_newer_key_sealed_is_opened_at_once(store: Store, live: LiveKeyring) -> None:
    old = live.seal(b"old")
    store.rotate()
    assert await live.open(store.ring.seal(b"new"), where="x") == b"new"
    assert await live.open(old, where="x") == b"old"
    assert store.looks == 1
    assert live.ring.is_current(live.seal(b"mine"))
    assert live.ring.primary == store.ring.primary


async def test_who_cannot_look_opens_but_stops_sealing(
    store: Store, live: LiveKeyring, clock: Clock
) -> None:
    token = live.seal(b"x")
    store.away = True
    clock.now = 9
    await live.look()
    assert live.trouble == "the store is away"
    live.seal(b"still")
    clock.now = 11
    with pytest.raises(Unavailable, match=r"last seen 11 s ago: the store is away"):
        live.seal(b"too late")
    assert await live.open(token, where="x") == b"x"
    store.away = False
    await live.look()
    live.seal(b"again")
    assert live.trouble is None


async def test_changes_are_told_once_each(store: Store, clock: Clock) -> None:
    live = LiveKeyring(store.ring, store.load, Section(poll_s=0.001, trust_s=10), clock=clock)
    told = live.changes()
    assert (await anext(told)).keys == store.ring.keys
    store.rotate()
    assert (await anext(told)).keys == store.ring.keys


def altered(token: bytes) -> bytes:
    return token[:20] + (b"A" if token[20:21] != b"A" else b"B") + token[21:]


async def test_errors_name_the_row_and_never_the_data(live: LiveKeyring) -> None:
    rows = SealedRows(live, table="users.profiles")
    token = rows.seal(ROW, PLANTED)
    assert await rows.open(ROW, token) == PLANTED
    foreign = Fernet(Fernet.generate_key()).encrypt(b"planted")
    for owner, bad, said in (
        (ROW, altered(token), "not encrypted with a key of the keyring"),
        (ROW, foreign, "not encrypted with a key of the keyring"),
        (ROW, b"", "not encrypted with a key of the keyring"),
        (UUID(int=8), token, "belongs to another row"),
        (ROW, live.seal(b"planted"), "not written by ECAP"),
    ):
        with pytest.raises(Misconfigured, match=said) as caught:
            await rows.open(owner, bad)
        text = repr(caught.value)
        assert f"users.profiles.sealed of {owner}" in text
        assert "planted" not in text
        assert caught.value.__cause__ is None
