"""Unit prices from the dated file, turned into lines of a monthly bill."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Line:
    item: str
    usd: float


@dataclass(frozen=True)
class Tariff:
    prices: dict[str, dict[str, Any]]
    hours: float
    full_hours: float
    as_of: str

    @classmethod
    def load(
        cls, *, hours: float | None = None, spot: float | None = None, region: str = "us-east-1"
    ) -> "Tariff":
        """`hours` a month that the environment exists; what is made anew each day costs less.
        `spot`: the part of the price on demand, instead of the one assumed."""
        document = json.loads((HERE / f"prices-{region}.json").read_text())
        full, prices = document["hours_per_month"], document["prices"]
        if spot is not None:
            prices["ec2.spot_fraction"]["usd"] = spot
        return cls(prices, hours or full, full, document["as_of"])

    def unit(self, key: str) -> float:
        if key not in self.prices:
            raise KeyError(
                f"no price {key!r}: add it to pricing/prices-us-east-1.json with its source"
            )
        return float(self.prices[key]["usd"])

    def hourly(self, key: str, count: float = 1) -> Line:
        return Line(f"{key} x {count:g}", self.unit(key) * count * self.hours)

    def monthly(self, key: str, quantity: float = 1) -> Line:
        """Things paid by the month are paid for the share of it in which they exist."""
        share = self.hours / self.full_hours
        return Line(f"{key} x {quantity:g}", self.unit(key) * quantity * share)

    def used(self, key: str, quantity: float) -> Line:
        return Line(f"{key} x {quantity:g}", self.unit(key) * quantity)

    def nodes(
        self, capacity: str, instance_types: list[str], count: float, disk_gib: float
    ) -> Iterator[Line]:
        """Spot: the mean of the three cheapest pools on demand, times the assumed fraction."""
        by_price = sorted(self.unit(f"ec2.{t}") for t in instance_types)
        if capacity == "SPOT":
            cheapest = by_price[:3]
            unit = sum(cheapest) / len(cheapest) * self.unit("ec2.spot_fraction")
        else:
            unit = by_price[-1]
        label = "spot" if capacity == "SPOT" else "on demand"
        yield Line(f"ec2 {label} {instance_types[0]} x {count:g}", unit * count * self.hours)
        yield self.monthly("ebs.gp3", disk_gib * count)
