from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer

from ecap.domain.analytics.revenue import Outcome
from ecap.errors import Invalid
from ecap.serve.endpoints.models import Model

Bucket = Literal["minute", "hour", "day"]
# Longer ranges in finer steps are more than one answer should hold.
_LONGEST = {
    "minute": timedelta(hours=6),
    "hour": timedelta(days=14),
    "day": timedelta(days=366),
}
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _plausible(moment: datetime) -> datetime:
    if not _FIRST <= moment < _LAST:
        raise ValueError("not between the years 2000 and 2200")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_plausible)]
Sum = Annotated[
    Decimal,
    Field(description="exact amount in major units, two decimals"),
    PlainSerializer(lambda value: f"{value:.2f}", return_type=str, when_used="json"),
]


class RangeQuery(Model):
    start: Moment | None = Field(None, description="included; unset: an hour before `end`")
    end: Moment | None = Field(None, description="excluded; unset: now")

    def span(self, now: datetime, *, longest: timedelta = _LONGEST["day"]) -> Range:
        """Raises Invalid for a range that is empty or too long."""
        end = self.end or now
        start = self.start or end - timedelta(hours=1)
        if start >= end:
            raise Invalid("start has to be before end", field="start")
        if end - start > longest:
            raise Invalid(f"at most {longest} at once", field="start")
        return Range(start=start, end=end)


class Range(Model):
    start: datetime
    end: datetime


class BucketQuery(RangeQuery):
    bucket: Bucket = Field("minute", description="days and hours are those of UTC")
    outcome: Outcome | None = None

    def span(self, now: datetime, *, longest: timedelta | None = None) -> Range:
        return super().span(now, longest=longest or _LONGEST[self.bucket])


class RevenueQuery(BucketQuery):
    category: str | None = Field(None, max_length=60)


class RevenueCell(Model):
    at: datetime = Field(description="start of the bucket")
    category: str
    outcome: Outcome
    units: int
    amount: Sum


class Revenue(Range):
    bucket: Bucket
    items: tuple[RevenueCell, ...]


class OrdersCell(Model):
    at: datetime = Field(description="start of the bucket")
    outcome: Outcome
    orders: int
    amount: Sum


class OrdersOverTime(Range):
    bucket: Bucket
    items: tuple[OrdersCell, ...]


class TopQuery(RangeQuery):
    """Whole hours: the range is widened to them."""

    by: Literal["amount", "units"] = "amount"
    limit: int = Field(10, ge=1, le=100)


class TopProduct(Model):
    product_id: UUID
    sku: str | None = None
    name: str | None = None
    category: str | None = None
    units: int = Field(description="sold: approved or in review")
    amount: Sum
    views: int


class TopProducts(Range):
    items: tuple[TopProduct, ...]


class OutcomeTotal(Model):
    outcome: Outcome
    orders: int
    amount: Sum
    average: Sum | None = Field(None, description="amount of an order, rounded half to even")


class Summary(Range):
    outcomes: tuple[OutcomeTotal, ...]
    orders: int
    amount: Sum = Field(description="of all outcomes")
    product_views: int
    searches: int
    late_events: int


SessionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Viewed(Model):
    type: Literal["product.viewed"]
    session_id: SessionId
    product_id: UUID


class Searched(Model):
    type: Literal["product.searched"]
    session_id: SessionId
    query: str = Field(min_length=1, max_length=200)
    results: int = Field(ge=0, le=1_000_000)


class ClientEvents(Model):
    events: tuple[Annotated[Viewed | Searched, Field(discriminator="type")], ...] = Field(
        min_length=1, max_length=100
    )


class Accepted(Model):
    accepted: int
