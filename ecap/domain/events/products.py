"""Products, as the catalog announces them."""

from __future__ import annotations

from uuid import UUID

from ecap.domain.events.payload import Payload


class ProductUpserted(Payload, frozen=True, kw_only=True):
    """`stock_delta` is what the warehouse added or took; orders move stock themselves."""

    product_id: UUID
    sku: str
    name: str
    category: str
    price_minor: int
    currency: str
    active: bool
    stock_delta: int = 0
