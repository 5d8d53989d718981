"""Whose address counts, and what a verdict tells."""

from __future__ import annotations

import pytest

from ecap.config.settings.limits import Bucket
from ecap.serve.edge.limits import ClientAddress, Ruling, client_of, headers, take

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
        ("10.0.0.1", "198.51.100.1, 127.0.0.1, 10.0.0.2", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1, 127.18.0.5", "127.18.0.5"),
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
    assert await take(Fixed(YES, NO), "k", BUCKET) == YES
    assert await take(Fixed(NO, YES), "k", BUCKET) == NO
    assert await take(Fixed(None, YES), "k", BUCKET) == YES


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:0:7:1:2:3:4", "2001:db8:0:7::/64"),
        ("2001:db8:0:7::", "2001:db8:0:7::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_whom_an_address_stands_for(address: str, client: str) -> None:
    assert client_of(address) == client


def test_headers() -> None:
    assert headers(YES, BUCKET) == (
        (b"ratelimit-policy", b'"default";q=25;w=3'),
        (b"ratelimit", b'"default";r=7;t=0'),
    )
