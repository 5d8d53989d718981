"""Notifications: every order event becomes one delivery for each channel.

Who to write to comes from the accounts topic and may arrive after the first order;
the delivery worker looks it up when it sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from ecap.actors.stream.pipeline import Record, Stateless
from ecap.clients.postgres import Connection, Pool
from ecap.clients.queries import load_queries
from ecap.config.member.follows import Follow
from ecap.config.secrets.keyring.live import open_keyring
from ecap.config.settings.connections.webhook import Webhook
from ecap.config.settings.tree import Settings
from ecap.domain.events.admission import admit_changed, admit_placed
from ecap.domain.events.envelope import Event
from ecap.domain.events.notifications import Channel
from ecap.domain.events.orders import (
    Decision,
    OrderApproved,
    OrderCancelled,
    OrderChanged,
    OrderDenied,
    OrderPlaced,
)
from ecap.domain.events.personal import token_of
from ecap.domain.events.users import UserRegistered
from ecap.domain.values.ids import delivery_id
from ecap.domain.values.money import to_decimal
from ecap.pipelines.stream.notifications.channels import Channels, channels
from ecap.pipelines.stream.notifications.delivery import DeliveryWorker
from ecap.pipelines.stream.notifications.wording import Kind, subject

_SQL = load_queries(__package__)

_DECIDED: dict[Decision | None, Kind] = {
    "approve": "order_approved",
    "review": "order_placed",
    "deny": "order_denied",
    None: "order_placed",
}
_BECAME: dict[type[OrderChanged], Kind] = {
    OrderApproved: "order_approved",
    OrderDenied: "order_denied",
    OrderCancelled: "order_cancelled",
}


class Notice(msgspec.Struct, frozen=True):
    event: Event
    order: OrderPlaced | OrderChanged
    kind: Kind


class Contact(msgspec.Struct, frozen=True):
    user_id: UUID
    sealed: bytes
    at: datetime


Result = Notice | Contact


class NotificationsPipeline(Stateless):
    name = "notifications"
    topics: tuple[str, ...] = ("transactions", "accounts")

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = channels

    def follows(self) -> tuple[Follow[Any], ...]:
        return (Follow("webhook", Webhook, self.reconfigure),)

    def reconfigure(self, webhook: Webhook) -> None:
        self._channels = channels(webhook)

    def apply(self, state: None, record: Record) -> Result | None:
        payload = record.event.payload
        if isinstance(payload, OrderPlaced):
            admit_placed(payload)
            return Notice(record.event, payload, _DECIDED[payload.decision])
        if isinstance(payload, OrderApproved | OrderDenied | OrderCancelled):
            admit_changed(payload)
            return Notice(record.event, payload, _BECAME[type(payload)])
        if isinstance(payload, UserRegistered):
            return Contact(payload.user_id, token_of(payload), record.event.occurred_at)
        return None

    async def write(self, conn: Connection, results: Sequence[Result]) -> None:
        contacts = {r.user_id: r for r in results if isinstance(r, Contact)}
        if contacts:
            await conn.execute(
                _SQL["save_contacts"],
                list(contacts),
                [contact.sealed for contact in contacts.values()],
                [contact.at for contact in contacts.values()],
            )
        rows = [
            _row(result, channel)
            for result in results
            if isinstance(result, Notice)
            for channel in self._channels
        ]
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            await conn.execute(_SQL["insert_deliveries"], *columns)


def _row(notice: Notice, channel: Channel) -> tuple[object, ...]:
    event, order = notice.event, notice.order
    facts = {
        "order_id": order.order_id,
        "amount": str(to_decimal(order.amount_minor)),
        "currency": order.currency,
        "units": sum(line.quantity for line in order.lines),
        "occurred_at": event.occurred_at,
        "reason": "" if isinstance(order, OrderPlaced) else _reason(order),
        "traceparent": event.traceparent,
    }
    return (
        delivery_id(event.id, channel),
        event.id,
        order.user_id,
        order.order_id,
        notice.kind,
        channel,
        subject(notice.kind, order.order_id),
        msgspec.json.encode(facts).decode(),
        event.occurred_at,
    )


def _reason(order: OrderChanged) -> str:
    """Written by people; jsonb takes any of it but a NUL."""
    return order.reason.replace("\x00", "")


def build(settings: Settings) -> NotificationsPipeline:
    return NotificationsPipeline(channels(settings.webhook))


def workers(settings: Settings, pool: Pool) -> list[DeliveryWorker]:
    """What has to run beside the pipeline. Raises Misconfigured."""
    senders = Channels(settings.smtp, settings.webhook)
    keys = partial(open_keyring, settings)
    return [DeliveryWorker(settings.notifications, pool, senders, keys)]
