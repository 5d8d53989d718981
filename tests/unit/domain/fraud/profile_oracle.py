"""Features by reading the whole history again, in plain loops."""

from __future__ import annotations

from ecap.domain.fraud.features import Features
from ecap.domain.fraud.profile import Transaction
from ecap.domain.fraud.thresholds import Thresholds
from ecap.domain.fraud.travel import haversine_km, speed_kmh


class Oracle:
    def __init__(self) -> None:
        self.seen: list[tuple[Transaction, bool]] = []

    def features(self, tx: Transaction, t: Thresholds) -> Features:
        def within(width: int) -> list[Transaction]:
            return [s for s, _ in self.seen if tx.at - width < s.at <= tx.at] + [tx]

        trusted = [s for s, ok in self.seen if ok and s.at <= tx.at]
        small = {s.card for s in within(t.card_window) if s.amount_minor < t.card_small_minor}
        km, speed = 0.0, 0.0
        if tx.latitude is not None and tx.longitude is not None:
            # A stable sort: of two at the same time, the one that came last.
            located = sorted((s for s in trusted if s.latitude is not None), key=lambda s: s.at)
            if located:
                last = located[-1]
                assert last.latitude is not None
                assert last.longitude is not None
                km = haversine_km(last.latitude, last.longitude, tx.latitude, tx.longitude)
                speed = speed_kmh(km, tx.at - last.at)
        return Features(
            amount_minor=tx.amount_minor,
            velocity=len(within(t.velocity_window)),
            spend_minor=sum(s.amount_minor for s in within(t.spend_window)),
            small_cards=len(small),
            new_device=bool(trusted) and tx.device_id not in {s.device_id for s in trusted},
            new_card=bool(trusted) and tx.card not in {s.card for s in trusted},
            away_km=km,
            speed_kmh=speed,
        )
