from __future__ import annotations

from uuid import UUID

from ecap.errors import Conflict, PreconditionFailed
from ecap.serve.endpoints.pages import Page
from ecap.serve.endpoints.preconditions import IF_MATCH, IF_NONE_MATCH, required_version
from ecap.serve.endpoints.routing import Api, Call, Reply
from ecap.serve.fraud.models import (
    Alert,
    AlertChange,
    AlertQuery,
    Decided,
    DecisionQuery,
    Scored,
    Transaction,
)
from ecap.serve.fraud.service import Desk

api = Api("fraud", prefix="/api/v1/fraud", title="ECAP fraud")


@api.post("/decisions", scope="fraud:score")
async def score_transaction(call: Call[Desk], body: Transaction) -> Scored:
    """Score a transaction.

    Answered by the shard that owns the user; it counts for a short while, as if it had
    happened. 503 when that shard does not answer in time.
    """
    return await call.state.score(body)


@api.get("/decisions", scope="fraud:read")
async def list_decisions(call: Call[Desk], query: DecisionQuery) -> Page[Decided]:
    """List the decisions about a user's orders, newest first."""
    return await call.state.store.decisions(query)


@api.get("/decisions/{transaction_id}", scope="fraud:read")
async def get_decision(call: Call[Desk], transaction_id: UUID) -> Decided:
    """Get the decision about an order. Its id is the order's."""
    return await call.state.store.decision(transaction_id)


@api.get("/alerts", scope="fraud:read")
async def list_alerts(call: Call[Desk], query: AlertQuery) -> Page[Alert]:
    """List alerts, newest first."""
    return await call.state.store.alerts(query)


@api.get("/alerts/{alert_id}", scope="fraud:read", headers=IF_NONE_MATCH)
async def get_alert(call: Call[Desk], alert_id: UUID) -> Reply[Alert]:
    """Get an alert."""
    alert = await call.state.store.alert(alert_id)
    return Reply(alert, etag=str(alert.version))


@api.patch(
    "/alerts/{alert_id}",
    scope="fraud:review",
    errors=(PreconditionFailed, Conflict),
    headers=IF_MATCH,
)
async def change_alert(call: Call[Desk], alert_id: UUID, body: AlertChange) -> Reply[Alert]:
    """Acknowledge or close an alert. Send its ETag as If-Match.

    The order itself is approved or denied through the orders service.
    """

    async def present() -> int:
        return (await call.state.store.alert(alert_id)).version

    version = await required_version(call, present)
    alert = await call.state.store.change_alert(
        alert_id, body, actor=call.principal.subject, version=version
    )
    return Reply(alert, etag=str(alert.version))
