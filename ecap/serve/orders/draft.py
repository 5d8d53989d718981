"""An order before it is written: priced from the items, and refused where it has to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ecap.clients.postgres import Record
from ecap.config.settings.services.orders import Orders as Limits
from ecap.domain.commerce.orders import DECIDED, amount_minor, card_fingerprint
from ecap.domain.events.orders import Line, OrderPlaced
from ecap.domain.fraud.scoring import ScoreQuestion, Verdict
from ecap.domain.values.money import MAX_MINOR, to_decimal, to_minor
from ecap.errors import Conflict, Invalid
from ecap.serve.orders.models import Change, NewOrder, Order, OrderLine

Items = Mapping[UUID, Record]


@dataclass(frozen=True)
class Draft:
    """Prices are those read when the order came; a change in the same moment is not seen."""

    id: UUID
    user_id: UUID
    address: str
    placed_at: datetime
    wanted: NewOrder
    lines: tuple[OrderLine, ...]
    currency: str

    @property
    def event_lines(self) -> tuple[Line, ...]:
        return tuple(
            Line(line.product_id, line.category, line.quantity, to_minor(line.unit_price))
            for line in self.lines
        )

    @property
    def amount_minor(self) -> int:
        return amount_minor(self.event_lines)

    def question(self) -> ScoreQuestion:
        return ScoreQuestion(
            transaction_id=self.id,
            user_id=self.user_id,
            amount_minor=self.amount_minor,
            currency=self.currency,
            card=card_fingerprint(self.wanted.payment.card_token),
            device_id=self.wanted.device.id,
            latitude=self.wanted.device.latitude,
            longitude=self.wanted.device.longitude,
        )

    def event(self, verdict: Verdict, *, scored: bool) -> OrderPlaced:
        asked = self.question()
        return OrderPlaced(
            order_id=self.id,
            user_id=self.user_id,
            amount_minor=asked.amount_minor,
            currency=self.currency,
            lines=self.event_lines,
            card=asked.card,
            device_id=asked.device_id,
            ip=self.address,
            latitude=asked.latitude,
            longitude=asked.longitude,
            decision=verdict.decision,
            reasons=verdict.reasons,
            score=verdict.score,
            scored=scored,
        )

    def order(self, verdict: Verdict) -> Order:
        """As it will be once written."""
        status = DECIDED[verdict.decision]
        first = Change(
            version=1,
            previous="pending",
            status=status,
            actor="fraud",
            reason="",
            at=self.placed_at,
        )
        return Order(
            id=self.id,
            user_id=self.user_id,
            status=status,
            amount=to_decimal(self.amount_minor),
            currency=self.currency,
            version=1,
            placed_at=self.placed_at,
            changed_at=self.placed_at,
            decision=verdict.decision,
            lines=self.lines,
            shipping=self.wanted.shipping,
            history=(first,),
        )


def within(wanted: NewOrder, limits: Limits) -> None:
    """Raises Invalid for more lines or units than this shop takes."""
    if len(wanted.lines) > limits.max_lines:
        raise Invalid(f"at most {limits.max_lines} lines", field="lines")
    for at, line in enumerate(wanted.lines):
        if line.quantity > limits.max_quantity:
            raise Invalid(f"at most {limits.max_quantity} units", field=f"lines.{at}.quantity")


def priced(wanted: NewOrder, items: Items, *, currency: str) -> tuple[OrderLine, ...]:
    """Raises Invalid for an unknown product or a total beyond what an order can be worth,
    Conflict for what is not on sale or when the customer was shown another total."""
    lines = tuple(_line(at, wanted, items, currency) for at in range(len(wanted.lines)))
    total = sum(line.quantity * to_minor(line.unit_price) for line in lines)
    if total > MAX_MINOR:
        raise Invalid(f"an order is worth at most {to_decimal(MAX_MINOR)}", field="lines")
    if wanted.expected_total is not None and to_minor(wanted.expected_total) != total:
        raise Conflict("the price has changed", field="expected_total", total=to_decimal(total))
    return lines


def _line(at: int, wanted: NewOrder, items: Items, currency: str) -> OrderLine:
    line, field = wanted.lines[at], f"lines.{at}.product_id"
    item = items.get(line.product_id)
    if item is None:
        raise Invalid("no such product", field=field)
    if not item["active"]:
        raise Conflict(f"{item['name']} is no longer sold", field=field)
    if item["currency"] != currency:
        raise Conflict(f"{item['name']} is not sold in {currency}", field=field)
    return OrderLine(
        product_id=line.product_id,
        sku=item["sku"],
        name=item["name"],
        category=item["category"],
        quantity=line.quantity,
        unit_price=item["price"],
    )
