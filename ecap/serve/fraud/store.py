"""What the stream decided, as PostgreSQL has it; of this only alerts change here."""

from __future__ import annotations

from uuid import UUID

from ecap.clients.postgres import Pool, Record
from ecap.clients.queries import load_queries
from ecap.errors import Conflict, NotFound, PreconditionFailed
from ecap.serve.endpoints.pages import Page, moment_cursor, page
from ecap.serve.fraud.models import Alert, AlertChange, AlertQuery, Decided, DecisionQuery

_SQL = load_queries(__package__)


class Decisions:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def decision(self, transaction_id: UUID) -> Decided:
        """Raises NotFound; also for an order whose event has not been processed yet."""
        row = await self._pool.fetchrow(_SQL["decision"], transaction_id)
        if row is None:
            raise NotFound("no decision about this transaction")
        return _decided(row)

    async def decisions(self, query: DecisionQuery) -> Page[Decided]:
        after = moment_cursor(query.cursor)
        rows = await self._pool.fetch(
            _SQL["decisions"], query.user_id, query.decision, *after, query.limit + 1
        )
        return page(rows, query.limit, _decided, by=("occurred_at", "transaction_id"))

    async def alert(self, alert_id: UUID) -> Alert:
        """Raises NotFound."""
        row = await self._pool.fetchrow(_SQL["alert"], alert_id)
        if row is None:
            raise NotFound("no such alert")
        return _alert(row)

    async def alerts(self, query: AlertQuery) -> Page[Alert]:
        after = moment_cursor(query.cursor)
        rows = await self._pool.fetch(
            _SQL["alerts"], query.status, query.user_id, *after, query.limit + 1
        )
        return page(rows, query.limit, _alert, by=("occurred_at", "id"))

    async def change_alert(
        self, alert_id: UUID, change: AlertChange, *, actor: str, version: int
    ) -> Alert:
        """Raises NotFound, PreconditionFailed when somebody was faster, or Conflict."""
        row = await self._pool.fetchrow(
            _SQL["change_alert"], alert_id, change.status, change.note, actor, version
        )
        if row is not None:
            return _alert(row)
        found = await self.alert(alert_id)
        if found.version != version:
            raise PreconditionFailed("the alert has changed; get it again")
        raise Conflict("a closed alert stays closed", field="status")


def _decided(row: Record) -> Decided:
    return Decided.model_construct(**{**dict(row), "reasons": tuple(row["reasons"])})


def _alert(row: Record) -> Alert:
    return Alert.model_construct(**{**dict(row), "reasons": tuple(row["reasons"])})
