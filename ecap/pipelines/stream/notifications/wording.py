"""What a customer reads."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

Kind = Literal["order_placed", "order_approved", "order_denied", "order_cancelled"]

_SUBJECT: Mapping[Kind, str] = {
    "order_placed": "We have received your order {number}",
    "order_approved": "Your order {number} is confirmed",
    "order_denied": "We cannot accept your order {number}",
    "order_cancelled": "Your order {number} is cancelled",
}
_TEXT: Mapping[Kind, str] = {
    "order_placed": "Thank you for your order. We are checking it and will write again shortly.",
    "order_approved": "Thank you for your order. It is confirmed.",
    "order_denied": "We could not accept your order. You have not been charged.",
    "order_cancelled": "Your order has been cancelled.",
}


def number(order_id: UUID) -> str:
    """Short enough to read out; the whole id is in the text."""
    return order_id.hex[-8:].upper()


def subject(kind: Kind, order_id: UUID) -> str:
    return _SUBJECT[kind].format(number=number(order_id))


def text(kind: Kind, name: str, facts: Mapping[str, Any]) -> str:
    return (
        f"Hello {name},\n\n{_TEXT[kind]}\n\n"
        f"Order:  {facts['order_id']}\n"
        f"Items:  {facts['units']}\n"
        f"Total:  {facts['amount']} {facts['currency']}\n"
    )


def page(kind: Kind, name: str, facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{label}</td><td>{html.escape(str(value))}</td></tr>"
        for label, value in (
            ("Order", facts["order_id"]),
            ("Items", facts["units"]),
            ("Total", f"{facts['amount']} {facts['currency']}"),
        )
    )
    return (
        f"<html><body><p>Hello {html.escape(name)},</p>"
        f"<p>{_TEXT[kind]}</p><table>{rows}</table></body></html>"
    )
