from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field

from ecap.domain.events.audit import ActorKind, Outcome
from ecap.serve.endpoints.models import Model, Text
from ecap.serve.endpoints.pages import PageQuery

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _plausible(moment: datetime) -> datetime:
    if not _FIRST <= moment < _LAST:
        raise ValueError("not between the years 2000 and 2200")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_plausible)]


class AuditQuery(PageQuery):
    actor: Text | None = Field(None, description="who did it: an account's id, a login name")
    subject: Text | None = Field(None, description="whom or what it was done to")
    action: Text | None = Field(None, description="such as `login` or `account.changed`")
    outcome: Outcome | None = None
    since: Moment | None = Field(None, description="included")
    until: Moment | None = Field(None, description="excluded")
    format: Literal["json", "jsonl"] | None = Field(
        None, description="`jsonl`: everything that was asked for, a line each; no pages"
    )


class Entry(Model):
    """Ids rest in the log; e-mails are looked up for who asks, and absent where that fails."""

    id: UUID
    at: datetime
    source: str = Field(description="which service or command told it")
    action: str
    outcome: Outcome
    actor: str
    actor_kind: ActorKind
    actor_email: str | None = None
    subject: str
    subject_email: str | None = None
    address: str
    request_id: str
    details: dict[str, Any]
