"""Inventory: product.upserted keeps `orders.items`, so that placing an order reads and
writes one schema only."""

from __future__ import annotations

from collections.abc import Sequence

from ecap.actors.stream.pipeline import Record, Stateless
from ecap.clients.postgres import Connection
from ecap.clients.queries import load_queries
from ecap.config.settings.tree import Settings
from ecap.domain.events.admission import admit_text
from ecap.domain.events.products import ProductUpserted
from ecap.domain.values.money import MAX_MINOR, to_decimal

_SQL = load_queries(__package__)
_UNITS_MAX = 2**31 - 1  # integer


class InventoryPipeline(Stateless):
    """The differences are summed in the table itself."""

    name = "inventory"
    topics: tuple[str, ...] = ("product-updates",)

    def apply(self, state: None, record: Record) -> ProductUpserted | None:
        product = record.event.payload
        if not isinstance(product, ProductUpserted):
            return None
        admit_text(product.sku, product.name, product.category)
        if not 0 <= product.price_minor <= MAX_MINOR:
            raise ValueError("price is out of range")
        if abs(product.stock_delta) > _UNITS_MAX:
            raise ValueError("stock_delta is out of range")
        return product

    async def write(self, conn: Connection, results: Sequence[ProductUpserted]) -> None:
        # Rows are locked in the order in which placing an order locks them. The sort is
        # stable: what happened to one product stays in order.
        for_each = sorted(results, key=lambda product: product.product_id)
        await conn.executemany(_SQL["upsert"], [_row(product) for product in for_each])


def _row(product: ProductUpserted) -> tuple[object, ...]:
    return (
        product.product_id,
        product.sku,
        product.name,
        product.category,
        to_decimal(product.price_minor),
        product.currency,
        product.active,
        product.stock_delta,
    )


def build(settings: Settings) -> InventoryPipeline:
    return InventoryPipeline()
