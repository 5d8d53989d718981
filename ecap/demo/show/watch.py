"""What the system says of itself while it works, asked over HTTP as an administrator."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from ecap.demo.shoppers.door import FrontDoor
from ecap.demo.show.exposition import Samples
from ecap.demo.show.view import Seen
from ecap.domain.values.money import to_minor
from ecap.errors import Unavailable

_EVERY_S = 1.0
_MINUTES = 3
_PAGE = "100"
_SOLD = ("approved", "in_review")


@dataclass(frozen=True)
class Login:
    email: str
    password: str = field(repr=False)
    metrics_token: str = field(repr=False)


class Watch:
    def __init__(self, door: FrontDoor, login: Login, users: Mapping[UUID, object]) -> None:
        self._door = door
        self._login = login
        self._users = users
        self._token = ""
        self._alerts: set[str] = set()
        self._delivered_before: int | None = None
        self.seen = Seen()

    async def log_in(self) -> None:
        """Raises Unavailable."""
        body = {"email": self._login.email, "password": self._login.password}
        answer = await self._door.ask("POST", "/api/v1/auth/login", body=body)
        if answer.status != 200:
            raise Unavailable(f"the administrator cannot log in: {answer.status} {answer.problem}")
        self._token = answer.document["access_token"]

    async def run(self) -> None:
        """Looks about every second until cancelled; what cannot be had is shown as unknown."""
        while True:
            self.seen = await self._look()
            await asyncio.sleep(_EVERY_S)

    async def _look(self) -> Seen:
        document = await self._get("/metrics", self._login.metrics_token)
        samples = Samples(str(document["text"])) if document and "text" in document else None
        return Seen(
            alerts=await self._count_alerts(),
            delivered=None if samples is None else self._delivered(samples),
            lag=None if samples is None else _lag(samples),
            revenue=await self._revenue(),
        )

    async def _get(
        self, path: str, token: str | None = None, **params: str
    ) -> Mapping[str, Any] | None:
        try:
            answer = await self._door.ask("GET", path, token=token or self._token, params=params)
            if answer.status == 401:
                await self.log_in()
        except Unavailable:
            return None
        return answer.document if answer.status == 200 else None

    def _delivered(self, samples: Samples) -> int:
        now = int(samples.total("ecap_notifications_total", outcome="delivered"))
        if self._delivered_before is None:
            self._delivered_before = now
        return now - self._delivered_before

    async def _count_alerts(self) -> int | None:
        """Of this run's people, by reading the newest page again and again."""
        document = await self._get("/api/v1/fraud/alerts", limit=_PAGE)
        if document is None:
            return None
        self._alerts |= {
            alert["id"] for alert in document["items"] if UUID(alert["user_id"]) in self._users
        }
        return len(self._alerts)

    async def _revenue(self) -> Mapping[datetime, Mapping[str, int]] | None:
        """What came in, or will if the review says so, in each of the last minutes."""
        end = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        start = end - timedelta(minutes=_MINUTES)
        document = await self._get(
            "/api/v1/analytics/revenue",
            start=start.isoformat(),
            end=end.isoformat(),
            bucket="minute",
        )
        if document is None:
            return None
        found: dict[datetime, dict[str, int]] = {
            start + timedelta(minutes=i): {} for i in range(_MINUTES)
        }
        for item in document["items"]:
            if item["outcome"] in _SOLD:
                cells = found.setdefault(datetime.fromisoformat(item["at"]), {})
                amount = to_minor(Decimal(item["amount"]))
                cells[item["category"]] = cells.get(item["category"], 0) + amount
        return found


def _lag(samples: Samples) -> dict[str, int]:
    by_pipeline = samples.by("ecap_stream_lag_events", "pipeline")
    lag = {name: int(count) for name, count in by_pipeline.items()}
    lag["outbox"] = int(samples.total("ecap_outbox_pending_events"))
    return lag
