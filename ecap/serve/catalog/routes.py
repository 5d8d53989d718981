from __future__ import annotations

from uuid import UUID

from ecap.errors import Conflict, PreconditionFailed
from ecap.serve.catalog.models import (
    Categories,
    NewProduct,
    Product,
    ProductChange,
    ProductQuery,
    StockChange,
)
from ecap.serve.catalog.store import Catalog
from ecap.serve.endpoints.pages import Page
from ecap.serve.endpoints.preconditions import IF_MATCH, IF_NONE_MATCH, required_version
from ecap.serve.endpoints.routing import Api, Call, Reply

api = Api("catalog", prefix="/api/v1/catalog", title="ECAP catalog")


@api.get("/categories", scope=None)
async def list_categories(call: Call[Catalog]) -> Categories:
    """List the categories."""
    return Categories(items=await call.state.categories())


@api.get("/products", scope=None)
async def list_products(call: Call[Catalog], query: ProductQuery) -> Page[Product]:
    """List or search products.

    With `q` the best match comes first, otherwise products are in order of name.
    """
    if query.q is not None:
        return await call.state.search(query)
    return await call.state.page(query)


@api.get("/products/{product_id}", scope=None, headers=IF_NONE_MATCH)
async def get_product(call: Call[Catalog], product_id: UUID) -> Reply[Product]:
    """Get a product."""
    product = await call.state.product(product_id)
    return Reply(product, etag=_etag(product))


@api.post("/products", status=201, scope="catalog:write", errors=(Conflict,))
async def add_product(call: Call[Catalog], body: NewProduct) -> Reply[Product]:
    """Add a product."""
    product = await call.state.add(body)
    location = f"{api.prefix}/products/{product.id}"
    return Reply(product, etag=_etag(product), headers=(("location", location),))


@api.patch(
    "/products/{product_id}",
    scope="catalog:write",
    errors=(PreconditionFailed,),
    headers=IF_MATCH,
)
async def change_product(
    call: Call[Catalog], product_id: UUID, body: ProductChange
) -> Reply[Product]:
    """Change a product. Send its ETag as If-Match."""

    async def present() -> int:
        return (await call.state.product(product_id)).version

    version = await required_version(call, present)
    product = await call.state.change(product_id, body, version=version)
    return Reply(product, etag=_etag(product))


@api.post("/products/{product_id}/stock", scope="catalog:write", errors=(Conflict,))
async def change_stock(call: Call[Catalog], product_id: UUID, body: StockChange) -> Reply[Product]:
    """Report units that arrived or were lost."""
    product = await call.state.restock(product_id, body.delta)
    return Reply(product, etag=_etag(product))


def _etag(product: Product) -> str:
    # Orders move the stock without a new version, so that an editor's If-Match holds.
    return f"{product.version}-{product.stock}"
