"""Rate limits at the edge: who is counted, and what the caller is told.

The buckets themselves are exact across replicas; see `ecap.actors.limits.ledger`.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from ecap.actors.limits.borrower import Ruling
from ecap.config.settings.limits import Bucket
from ecap.errors import Misconfigured

__all__ = ["ClientAddress", "Limiter", "Ruling", "client_of", "headers", "take"]


class Limiter(Protocol):
    def try_take(self, key: str, *, rate_per_s: float, burst: float) -> Ruling | None:
        """Decide from what this replica holds; None when it has to ask."""
        ...

    async def take(self, key: str, *, rate_per_s: float, burst: float) -> Ruling: ...

    def reconfigure(self, *, lease_s: float) -> None: ...


async def take(limiter: Limiter, key: str, bucket: Bucket) -> Ruling:
    """Asks the ledger only when this replica holds nothing."""
    verdict = limiter.try_take(key, rate_per_s=bucket.rate_per_s, burst=bucket.burst)
    if verdict is None:
        verdict = await limiter.take(key, rate_per_s=bucket.rate_per_s, burst=bucket.burst)
    return verdict


def headers(verdict: Ruling, bucket: Bucket) -> Sequence[tuple[bytes, bytes]]:
    """`RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers."""
    full_s = math.ceil(bucket.burst / bucket.rate_per_s)
    return (
        (b"ratelimit-policy", b'"default";q=%d;w=%d' % (bucket.burst, full_s)),
        (
            b"ratelimit",
            b'"default";r=%d;t=%d' % (verdict.remaining, math.ceil(verdict.retry_after_s)),
        ),
    )


@lru_cache(maxsize=4096)
def client_of(address: str) -> str:
    """Whom an address stands for where callers are counted: an IPv6 client has a whole /64, and
    an IPv4 one may be written as IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))


class ClientAddress:
    """The caller's address: the peer, or whom the front door says it saw.

    Behind the front door there may be load balancers, which are trusted as well. Loopback is
    none of them: who comes to the front door from there is a client, and may say what he likes.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        """Raises Misconfigured for what is no network."""
        try:
            networks = [ipaddress.ip_network(cidr) for cidr in trusted]
        except ValueError as exc:
            raise Misconfigured(f"http.trusted_proxies: {exc}") from exc

        @lru_cache(maxsize=4096)
        def is_trusted(address: str) -> bool:
            try:
                parsed = ipaddress.ip_address(address)
            except ValueError:
                return False
            return any(parsed in network for network in networks)

        self._is_trusted = is_trusted

    def of(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        forwarded = headers.get(b"x-forwarded-for")
        if forwarded is None or not self._is_trusted(peer):
            return peer
        address = peer
        # Each appends whom it saw: walk back as long as the teller is trusted.
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            told = _address(hop.strip())
            if told is None:
                break
            address = str(told)
            if told.is_loopback or not self._is_trusted(address):
                break
        return address


@lru_cache(maxsize=4096)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
