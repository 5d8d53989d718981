"""Analytics: what happened, added up by the minute and hour of event time.

Every event is turned into additions to stored totals, so the state is only how far
event time has come. Late events are added where they belong and counted as late.
One installation has one currency (`orders.currency`); amounts are added as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

import msgspec

from ecap.actors.stream.pipeline import Record
from ecap.clients.postgres import Connection
from ecap.config.member.follows import Follow
from ecap.config.settings.tree import Settings
from ecap.domain.events.admission import admit_changed, admit_lines, admit_placed, admit_text
from ecap.domain.events.browsing import ProductSearched, ProductViewed
from ecap.domain.events.orders import OrderApproved, OrderCancelled, OrderDenied, OrderPlaced
from ecap.domain.events.products import ProductUpserted
from ecap.domain.values.windows import SECOND, Watermark, micros
from ecap.pipelines.stream.analytics import sink
from ecap.pipelines.stream.analytics.sink import Counted


class AnalyticsPipeline:
    name = "analytics"
    topics: tuple[str, ...] = ("transactions", "user-events", "product-updates")

    def __init__(self, *, late_after: int) -> None:
        """`late_after` in microseconds."""
        self._late_after = late_after

    def follows(self) -> tuple[Follow[Any], ...]:
        return (Follow("stream.late_after_s", int, self.reconfigure),)

    def reconfigure(self, late_after_s: int) -> None:
        self._late_after = late_after_s * SECOND

    def new_state(self, topic: str, partition: int) -> Watermark:
        return Watermark()

    def dump(self, state: Watermark) -> bytes:
        return msgspec.msgpack.encode(state.at)

    def load(self, topic: str, partition: int, snapshot: bytes) -> Watermark:
        return Watermark(msgspec.msgpack.decode(snapshot, type=int | None))

    def apply(self, state: Watermark, record: Record) -> Counted | None:
        event = record.event
        payload = event.payload
        match payload:
            case OrderPlaced():
                admit_placed(payload)
                admit_lines(payload.lines)
            case OrderApproved() | OrderDenied() | OrderCancelled():
                admit_changed(payload)
                admit_lines(payload.lines)
            case ProductUpserted():
                admit_text(payload.sku, payload.name, payload.category)
            case ProductViewed() | ProductSearched():
                pass
            case _:
                return None
        at = micros(event.occurred_at)
        late = state.behind(at) > self._late_after
        state.advance(at)
        return Counted(payload, at, record.topic if late else None)

    async def write(self, conn: Connection, results: Sequence[Counted]) -> None:
        await sink.write(conn, results)

    def answer(self, state: Watermark, question: object, *, now: datetime) -> NoReturn:
        raise TypeError("analytics answers from PostgreSQL")


def build(settings: Settings) -> AnalyticsPipeline:
    return AnalyticsPipeline(late_after=settings.stream.late_after_s * SECOND)
