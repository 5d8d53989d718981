"""A shop that is not empty: 300 products, added the way an administrator adds them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from importlib import resources

from ecap.clients.postgres import Pool
from ecap.errors import Conflict
from ecap.serve.catalog.models import NewProduct
from ecap.serve.catalog.store import Catalog

CATEGORIES = {
    "kitchen": "Kitchen",
    "home": "Home",
    "electronics": "Electronics",
    "books": "Books",
    "clothing": "Clothing",
    "sports": "Sports and Outdoors",
    "beauty": "Beauty and Care",
    "toys": "Toys and Games",
    "garden": "Garden",
    "grocery": "Grocery",
}


def products() -> Iterator[NewProduct]:
    text = resources.files(__package__).joinpath("seed.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        yield NewProduct(
            sku=row["sku"],
            name=row["name"],
            description=row["description"],
            category=row["category"],
            price=Decimal(row["price"]),
            stock=int(row["stock"]),
        )


async def seed(pool: Pool) -> int:
    """Add what is missing by SKU, and answer how many that was. Prices and stock of
    products that are there already are left alone."""
    catalog = Catalog(pool)
    await catalog.add_categories(CATEGORIES)
    known = await catalog.skus()
    added = 0
    for product in products():
        if product.sku not in known:
            try:
                await catalog.add(product)
            except Conflict:  # somebody else seeds at the same time
                continue
            added += 1
    return added
