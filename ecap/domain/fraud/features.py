"""What is known about a transaction when it happens, from its customer's history.

Stream, synchronous scoring and backtests call `features_of` and `Profile.learn`;
there is no second version of either.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from ecap.domain.fraud.profile import Profile, Transaction
from ecap.domain.fraud.thresholds import Thresholds
from ecap.domain.fraud.travel import haversine_km, speed_kmh


class Pending(msgspec.Struct, frozen=True):
    """Asked about but not yet an event: it counts, and is no part of the history."""

    transaction: Transaction
    trusted: bool


class Features(msgspec.Struct, frozen=True, gc=False):
    """Windows include the transaction itself. Nothing is "new" to a customer without
    an approved transaction: there is nothing to compare with. `away_km` and
    `speed_kmh` are from the last place of an approved transaction, 0 without one."""

    amount_minor: int
    velocity: int
    spend_minor: int
    small_cards: int
    new_device: bool
    new_card: bool
    away_km: float
    speed_kmh: float


def features_of(
    profile: Profile,
    transaction: Transaction,
    thresholds: Thresholds,
    *,
    pending: Collection[Pending] = (),
) -> Features:
    """The history must not hold the transaction yet, nor the pending ones."""
    t = thresholds
    at, amount = transaction.at, transaction.amount_minor
    velocity = 1 + profile.amounts.count(at, t.velocity_window)
    spend = amount + profile.amounts.sum(at, t.spend_window)
    cards = [transaction.card] if amount < t.card_small_minor else []
    for other in pending:
        seen = other.transaction
        age = at - seen.at
        velocity += 0 <= age < t.velocity_window
        spend += seen.amount_minor if 0 <= age < t.spend_window else 0
        if seen.amount_minor < t.card_small_minor and 0 <= age < t.card_window:
            cards.append(seen.card)
    km, speed = _movement(profile, transaction, pending)
    return Features(
        amount,
        velocity,
        spend,
        profile.small_cards(at, t.card_window, cards),
        profile.devices.is_new(transaction.device_id, at),
        profile.cards.is_new(transaction.card, at),
        km,
        speed,
    )


def _movement(
    profile: Profile, transaction: Transaction, pending: Collection[Pending]
) -> tuple[float, float]:
    if transaction.latitude is None or transaction.longitude is None:
        return 0.0, 0.0
    last = profile.places.last(transaction.at)
    for other in pending:
        seen = other.transaction
        if other.trusted and seen.latitude is not None and seen.longitude is not None:
            place = (seen.at, seen.latitude, seen.longitude)
            if seen.at <= transaction.at and (last is None or seen.at >= last[0]):
                last = place
    if last is None:
        return 0.0, 0.0
    km = haversine_km(last[1], last[2], transaction.latitude, transaction.longitude)
    return km, speed_kmh(km, transaction.at - last[0])
