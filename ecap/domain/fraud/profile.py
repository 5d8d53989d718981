"""What is remembered of one customer, and learned from each transaction."""

from __future__ import annotations

from array import array
from collections.abc import Collection

import msgspec

from ecap.domain.fraud.thresholds import Thresholds
from ecap.domain.fraud.travel import Track
from ecap.domain.values.windows import AmountWindow, DistinctWindow

# Devices and cards remembered for a customer; the least recently used goes first.
KNOWN_MAX = 16

_encoder = msgspec.msgpack.Encoder()


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """`at` in microseconds since 1970."""

    at: int
    amount_minor: int
    card: str
    device_id: str
    latitude: float | None
    longitude: float | None


class Known:
    """When each key was first seen, in order of last use."""

    __slots__ = ("first",)

    def __init__(self) -> None:
        self.first: dict[str, int] = {}

    def is_new(self, key: str, at: int) -> bool:
        """New beside others known by then; without any, nothing is new."""
        first = self.first.get(key)
        if first is not None and first <= at:
            return False
        return any(seen <= at for seen in self.first.values())

    def add(self, key: str, at: int) -> None:
        before = self.first.get(key)
        if before is not None:
            at = min(at, before)
            if len(self.first) > 1:
                del self.first[key]
        self.first[key] = at
        if len(self.first) > KNOWN_MAX:
            del self.first[next(iter(self.first))]


class Profile:
    """Every transaction counts in the windows. Devices, cards and places are learned
    from trusted (approved) ones only: a refused attempt must not make its device a
    known one."""

    __slots__ = ("_packed", "amounts", "cards", "devices", "newest", "places", "small")

    def __init__(self) -> None:
        self.amounts = AmountWindow()
        self.small: DistinctWindow[str] | None = None
        self.devices = Known()
        self.cards = Known()
        self.places = Track()
        self.newest = -(1 << 62)
        # A snapshot holds every customer, and few have changed since the one before.
        self._packed: bytes | None = None

    def small_cards(self, at: int, width: int, also: Collection[str]) -> int:
        """Different cards with small amounts."""
        if self.small is None:
            return len(set(also)) if also else 0
        return self.small.count(at, width, also)

    def is_late(self, at: int, thresholds: Thresholds) -> bool:
        """Too old to be scored exactly."""
        return at < self.newest - thresholds.lateness

    def learn(self, transaction: Transaction, thresholds: Thresholds, *, trusted: bool) -> None:
        at = transaction.at
        self._packed = None
        self.newest = max(self.newest, at)
        self.amounts.evict(self.newest - thresholds.retention)
        self.amounts.add(at, transaction.amount_minor)
        if transaction.amount_minor < thresholds.card_small_minor:
            if self.small is None:
                self.small = DistinctWindow()
            self.small.add(at, transaction.card)
        if self.small is not None:
            self.small.evict(self.newest - thresholds.retention)
        if trusted:
            self._trust(transaction, thresholds)

    def _trust(self, transaction: Transaction, thresholds: Thresholds) -> None:
        self.devices.add(transaction.device_id, transaction.at)
        self.cards.add(transaction.card, transaction.at)
        if transaction.latitude is not None and transaction.longitude is not None:
            self.places.add(transaction.at, transaction.latitude, transaction.longitude)
            self.places.evict(self.newest - thresholds.lateness)

    def pack(self) -> bytes:
        """MessagePack for a snapshot; `unpack` gives a profile that answers the same."""
        if self._packed is None:
            small = self.small
            self._packed = _encoder.encode(
                (
                    self.newest,
                    self.amounts.times.tobytes(),
                    self.amounts.sums.tobytes(),
                    self.devices.first,
                    self.cards.first,
                    self.places.times.tobytes(),
                    self.places.latitudes.tobytes(),
                    self.places.longitudes.tobytes(),
                    small.times.tobytes() if small else b"",
                    small.keys if small else (),
                )
            )
        return self._packed

    @classmethod
    def unpack(cls, packed: bytes) -> Profile:
        profile = cls()
        (
            profile.newest,
            times,
            sums,
            profile.devices.first,
            profile.cards.first,
            place_times,
            latitudes,
            longitudes,
            small_times,
            small_keys,
        ) = msgspec.msgpack.decode(packed)
        profile.amounts.times.frombytes(times)
        profile.amounts.sums.frombytes(sums)
        profile.places.times.frombytes(place_times)
        profile.places.latitudes.frombytes(latitudes)
        profile.places.longitudes.frombytes(longitudes)
        if small_keys:
            profile.small = DistinctWindow()
            for at, key in zip(array("q", small_times), small_keys, strict=True):
                profile.small.add(at, key)
        return profile
