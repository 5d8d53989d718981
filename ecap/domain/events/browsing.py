"""What visitors look at and search for."""

from __future__ import annotations

from uuid import UUID

from ecap.domain.events.payload import Payload


class ProductViewed(Payload, frozen=True, kw_only=True):
    session_id: str
    product_id: UUID
    user_id: UUID | None = None


class ProductSearched(Payload, frozen=True, kw_only=True):
    session_id: str
    query: str
    results: int
    user_id: UUID | None = None
