"""The catalog in PostgreSQL; every change commits together with its event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from ecap.clients import outbox
from ecap.clients.postgres import Connection, ForeignKeyViolation, Pool, Record, UniqueViolation
from ecap.clients.queries import load_queries
from ecap.domain.events.envelope import new_event
from ecap.domain.events.products import ProductUpserted
from ecap.domain.values.ids import new_id
from ecap.domain.values.money import to_minor
from ecap.errors import Conflict, Invalid, NotFound, PreconditionFailed
from ecap.mesh import current
from ecap.serve.catalog.models import Category, NewProduct, Product, ProductChange, ProductQuery
from ecap.serve.endpoints.pages import Page, decode_cursor, page, strange

_SQL = load_queries(__package__)


class Catalog:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def categories(self) -> tuple[Category, ...]:
        rows = await self._pool.fetch(_SQL["categories"])
        return tuple(Category(**dict(row)) for row in rows)

    async def add_categories(self, names: Mapping[str, str]) -> None:
        """By slug; those that are there already stay as they are."""
        await self._pool.execute(_SQL["add_categories"], list(names), list(names.values()))

    async def skus(self) -> frozenset[str]:
        rows = await self._pool.fetch(_SQL["skus"])
        return frozenset(row["sku"] for row in rows)

    async def product(self, product_id: UUID) -> Product:
        """Raises NotFound."""
        row = await self._pool.fetchrow(_SQL["product"], product_id)
        if row is None:
            raise NotFound("no such product")
        return _product(row)

    async def page(self, query: ProductQuery) -> Page[Product]:
        name, last = (None, None)
        if query.cursor:
            name, last = _named(query.cursor)
        rows = await self._pool.fetch(_SQL["page"], query.category, name, last, query.limit + 1)
        return page(rows, query.limit, _product, by=("name", "id"))

    async def search(self, query: ProductQuery) -> Page[Product]:
        rank, last = (None, None)
        if query.cursor:
            rank, last = _ranked(query.cursor)
        rows = await self._pool.fetch(
            _SQL["search"], query.q, query.category, rank, last, query.limit + 1
        )
        return page(rows, query.limit, _product, by=("rank", "id"))

    async def add(self, product: NewProduct) -> Product:
        """Raises Conflict for a known SKU, Invalid for an unknown category."""
        async with self._pool.transaction() as conn:
            try:
                row = await conn.fetchrow(
                    _SQL["add"],
                    new_id(),
                    product.sku,
                    product.name,
                    product.description,
                    product.category,
                    product.price,
                    product.currency,
                    product.stock,
                )
            except UniqueViolation as exc:
                raise Conflict("this SKU is taken", field="sku") from exc
            except ForeignKeyViolation as exc:
                raise Invalid("no such category", field="category") from exc
            assert row is not None
            return await _announce(conn, row, stock_delta=product.stock)

    async def change(self, product_id: UUID, change: ProductChange, *, version: int) -> Product:
        """Raises NotFound, PreconditionFailed when somebody was faster, or Invalid."""
        async with self._pool.transaction() as conn:
            try:
                row = await conn.fetchrow(
                    _SQL["change"],
                    product_id,
                    change.name,
                    change.description,
                    change.category,
                    change.price,
                    change.active,
                    version,
                )
            except ForeignKeyViolation as exc:
                raise Invalid("no such category", field="category") from exc
            if row is None:
                if await conn.fetchrow(_SQL["product"], product_id) is None:
                    raise NotFound("no such product")
                raise PreconditionFailed("the product has changed; get it again")
            return await _announce(conn, row, stock_delta=0)

    async def restock(self, product_id: UUID, delta: int) -> Product:
        """Raises NotFound, or Conflict for more units than can be counted."""
        async with self._pool.transaction() as conn:
            row = await conn.fetchrow(_SQL["restock"], product_id, delta)
            if row is None:
                if await conn.fetchrow(_SQL["product"], product_id) is None:
                    raise NotFound("no such product")
                raise Conflict("no stock is that large", field="delta")
            return await _announce(conn, row, stock_delta=delta)


async def _announce(conn: Connection, row: Record, *, stock_delta: int) -> Product:
    product = _product(row)
    event = new_event(
        ProductUpserted(
            product_id=product.id,
            sku=product.sku,
            name=product.name,
            category=product.category,
            price_minor=to_minor(product.price),
            currency=product.currency,
            active=product.active,
            stock_delta=stock_delta,
        ),
        key=str(product.id),
        producer="catalog",
        now=datetime.now(UTC),
        traceparent=current().trace.traceparent,
    )
    await outbox.append(conn, "catalog", "product-updates", [event])
    return product


def _product(row: Record) -> Product:
    return Product.model_construct(
        id=row["id"],
        sku=row["sku"],
        name=row["name"],
        description=row["description"],
        category=row["category"],
        price=row["price"],
        currency=row["currency"],
        stock=row["stock"],
        active=row["active"],
        version=row["version"],
        updated_at=row["updated_at"],
    )


def _named(cursor: str) -> tuple[str, UUID]:
    name, last = decode_cursor(cursor, parts=2)
    return name, _uuid(last)


def _ranked(cursor: str) -> tuple[Decimal, UUID]:
    rank, last = decode_cursor(cursor, parts=2)
    try:
        return Decimal(rank), _uuid(last)
    except ArithmeticError as exc:
        raise strange() from exc


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as exc:
        raise strange() from exc
