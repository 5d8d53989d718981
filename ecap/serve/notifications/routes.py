from __future__ import annotations

from uuid import UUID

from ecap.errors import Conflict
from ecap.serve.endpoints.pages import Page
from ecap.serve.endpoints.routing import Api, Call
from ecap.serve.notifications.models import (
    Delivery,
    DeliveryQuery,
    DeliverySummary,
    Notification,
    NotificationQuery,
)
from ecap.serve.notifications.store import Deliveries

api = Api("notifications", prefix="/api/v1/notifications", title="ECAP notifications")
READ_ALL = "notifications:read-all"


@api.get("", scope="notifications:read")
async def list_notifications(
    call: Call[Deliveries], query: NotificationQuery
) -> Page[Notification]:
    """List one's own notifications, newest first."""
    return await call.state.notifications(query, owner=call.user_id)


@api.get("/deliveries", scope=READ_ALL)
async def list_deliveries(call: Call[Deliveries], query: DeliveryQuery) -> Page[DeliverySummary]:
    """List deliveries of all users, newest first, by status, user or order."""
    return await call.state.deliveries(query)


@api.get("/{notification_id}", scope="notifications:read")
async def get_notification(call: Call[Deliveries], notification_id: UUID) -> Notification:
    """Get a notification."""
    owner = None if call.principal.has(READ_ALL) else call.user_id
    return await call.state.notification(notification_id, owner=owner)


@api.get("/deliveries/{delivery_id}", scope=READ_ALL)
async def get_delivery(call: Call[Deliveries], delivery_id: UUID) -> Delivery:
    """Get a delivery with the log of its attempts."""
    return await call.state.delivery(delivery_id)


@api.post("/deliveries/{delivery_id}/resend", scope="notifications:write-all", errors=(Conflict,))
async def resend_delivery(call: Call[Deliveries], delivery_id: UUID) -> Delivery:
    """Give a failed delivery one more attempt.

    The receiver may get it twice: an attempt that failed may have arrived. A webhook
    tells repeats apart by X-ECAP-Delivery.
    """
    return await call.state.resend(delivery_id)
