"""Whose address counts, and what a verdict tells."""

from __future__ import annotations

import pytest

from ecap.config.settings.limits import Bucket
from ecap.errors import RateLimited
from ecap.serve.edge.limits import ClientAddress, Ruling, admit, headers

CLIENT = ClientAddress(("10.0.0.0/8", "127.0.0.1/32", "::1/128"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        # A stranger may say what he likes.
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        # The left part is what the caller claimed.
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "1.1.1.1, garbage, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:443", "10.0.0.1"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("unknown", "198.51.100.1", "unknown"),
    ],
)
def test_client_address(peer: str, forwarded: str | None, address: str) -> None:
    found = {} if forwarded is None else {b"x-forwarded-for": forwarded.encode()}
    assert CLIENT.of(peer, found) == address


def test_without_trusted_proxies_the_peer_counts() -> None:
    nobody = ClientAddress(())
    assert nobody.of("127.0.0.1", {b"x-forwarded-for": b"198.51.100.1"}) == "127.0.0.1"


BUCKET = Bucket(rate_per_s=10, burst=25)


class Fixed:
    def __init__(self, held: Ruling | None, asked: Ruling) -> None:
        self.held = held
        self.asked = asked

    def try_take(self, key: str, *, rate_per_s: float, burst: float) -> Ruling | None:
        return self.held

    async def take(self, key: str, *, rate_per_s: float, burst: float) -> Ruling:
        return self.asked

    def reconfigure(self, *, lease_s: float) -> None:
        raise AssertionError("nobody changes it")


YES, NO = Ruling(True, 7, 0.0), Ruling(False, 0, 2.5)


async def test_the_ledger_is_asked_only_when_needed() -> None:
    assert await admit(Fixed(YES, NO), "k", BUCKET) == YES
    assert await admit(Fixed(None, YES), "k", BUCKET) == YES


@pytest.mark.parametrize("limiter", [Fixed(NO, YES), Fixed(None, NO)])
async def test_a_no_says_when(limiter: Fixed) -> None:
    with pytest.raises(RateLimited) as raised:
        await admit(limiter, "k", BUCKET)
    assert raised.value.retry_after_s == 2.5


def test_headers() -> None:
    assert headers(YES, BUCKET) == (
        (b"ratelimit-policy", b'"default";q=25;w=3'),
        (b"ratelimit", b'"default";r=7;t=0'),
    )
