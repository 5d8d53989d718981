"""Where an order is sent: sealed in its row, opened for whoever may see it."""

from __future__ import annotations

from uuid import UUID

from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.config.secrets.rows import SealedRows
from ecap.serve.orders.models import Order, Shipping


class Destinations:
    def __init__(self, keys: LiveKeyring) -> None:
        self._rows = SealedRows(keys, table="orders.orders")

    def sealed(self, order: Order) -> bytes | None:
        """Raises Unavailable while the keyring has not been seen for too long."""
        if order.shipping is None:
            return None
        return self._rows.seal(order.id, order.shipping.model_dump(exclude_none=True))

    async def opened(self, order_id: UUID, sealed: bytes | None) -> Shipping | None:
        if sealed is None:
            return None
        return Shipping.model_validate(await self._rows.open(order_id, sealed))
