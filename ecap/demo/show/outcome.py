"""How a run ended, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from ecap.demo.books.comparison import Row
from ecap.demo.shoppers.latency import Meter
from ecap.demo.shoppers.ledger import Caught, Ledger, caught, troubled
from ecap.demo.shoppers.plan import Wishes
from ecap.demo.show.view import in_ms


@dataclass(frozen=True)
class Outcome:
    run: str
    wishes: Wishes
    took_s: float
    """Of sending."""
    planned: int
    rows: Sequence[Row]
    ledger: Ledger
    meter: Meter
    unscored: frozenset[UUID]
    """Orders in review because the fraud shard did not answer in time."""
    limited: Mapping[str, int]
    """By path: how often a shopper was told 429 and waited."""

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self.rows)

    @property
    def failed(self) -> int:
        """Requests answered with 5xx, or not at all."""
        broken = sum(n for status, n in self.meter.statuses.items() if status >= 500)
        return broken + self.ledger.waited["no answer"]

    @property
    def caught(self) -> Mapping[str, Caught]:
        return caught(self.ledger, unscored=self.unscored)

    @property
    def troubled(self) -> Caught:
        return troubled(self.ledger, unscored=self.unscored)

    def document(self) -> dict[str, Any]:
        """For `--json`. Amounts are in minor units."""
        return {
            "ok": self.ok,
            "run": self.run,
            "seed": self.wishes.seed,
            "seconds": round(self.took_s, 1),
            "people": len(self.ledger.users),
            "orders": {
                "planned": self.planned,
                "sent": self.ledger.sent,
                "accepted": len(self.ledger.placed),
                "per_second": round(len(self.ledger.placed) / max(self.took_s, 0.001), 2),
                "repeats": self.ledger.repeats,
                "cancelled": len(self.ledger.cancelled),
            },
            "latency_ms": {
                "orders": _rounded(self.meter.orders.all_s),
                "requests": _rounded(self.meter.requests.all_s),
            },
            "statuses": {str(k): v for k, v in sorted(self.meter.statuses.items())},
            "decisions": dict(self.ledger.decisions),
            "failed": self.failed,
            "unscored": len(self.unscored),
            "refused": dict(self.ledger.refused),
            "waited": dict(self.ledger.waited),
            "rate_limited": dict(self.limited),
            "planted": {kind: asdict(found) for kind, found in self.caught.items()},
            "honest": asdict(self.troubled),
            "reconciliation": [
                {
                    "stage": row.stage.strip(),
                    "source": row.source,
                    "count": row.count,
                    "unit": row.unit,
                    "amount_minor": row.amount_minor,
                    "ok": row.ok,
                    "note": row.note,
                    "faults": list(row.faults),
                }
                for row in self.rows
            ],
        }


def _rounded(seconds: list[float]) -> dict[str, float | None]:
    found = in_ms(seconds)
    return {
        name: None if value is None else round(value, 1) for name, value in asdict(found).items()
    }
