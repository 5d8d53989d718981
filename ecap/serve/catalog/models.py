from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from ecap.serve.endpoints.models import Amount, Currency, Model, Text
from ecap.serve.endpoints.pages import PageQuery

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Sku = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9-]{2,39}$")]
Description = Annotated[str, StringConstraints(max_length=4000)]


class Category(Model):
    slug: Slug
    name: Text
    products: int = Field(description="active products in it")


class Categories(Model):
    items: tuple[Category, ...]


class Product(Model):
    id: UUID
    sku: Sku
    name: Text
    description: Description
    category: Slug
    price: Amount
    currency: Currency
    stock: int = Field(ge=0, description="units left; follows orders within moments")
    active: bool
    version: int
    updated_at: datetime


class NewProduct(Model):
    sku: Sku
    name: Text
    description: Description = ""
    category: Slug
    price: Amount
    currency: Currency = "USD"
    stock: int = Field(0, ge=0, le=10_000_000)


class ProductChange(Model):
    """Only what is given changes."""

    name: Text | None = None
    description: Description | None = None
    category: Slug | None = None
    price: Amount | None = None
    active: bool | None = None


class StockChange(Model):
    """Units that arrived at the warehouse, or left it other than by an order."""

    delta: int = Field(ge=-10_000_000, le=10_000_000)


class ProductQuery(PageQuery):
    category: Slug | None = None
    q: str | None = Field(None, min_length=1, max_length=200, description="full-text search")
