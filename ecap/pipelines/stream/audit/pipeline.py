"""Audit: entries from every topic that carries some become rows, each once."""

from __future__ import annotations

from collections.abc import Sequence

from ecap.actors.stream.pipeline import Record, Stateless
from ecap.clients.postgres import Connection, Pool
from ecap.clients.queries import load_queries
from ecap.config.settings.tree import Settings
from ecap.domain.events.admission import admit_entry
from ecap.domain.events.audit import AuditEntry, details_text
from ecap.domain.events.envelope import Event
from ecap.pipelines.stream.audit.purge import Purge

_SQL = load_queries(__package__)


class AuditPipeline(Stateless):
    name = "audit"
    topics: tuple[str, ...] = ("audit-auth", "audit-config", "audit-stream")

    def apply(self, state: None, record: Record) -> Event | None:
        entry = record.event.payload
        if not isinstance(entry, AuditEntry):
            return None
        admit_entry(entry)
        return record.event

    async def write(self, conn: Connection, results: Sequence[Event]) -> None:
        columns = [list(column) for column in zip(*map(_row, results), strict=True)]
        await conn.execute(_SQL["append"], *columns)


def _row(event: Event) -> tuple[object, ...]:
    entry = event.payload
    assert isinstance(entry, AuditEntry)
    return (
        event.id,
        event.occurred_at,
        event.producer,
        entry.action,
        entry.outcome,
        entry.actor,
        entry.actor_kind,
        entry.subject,
        entry.address,
        entry.request_id,
        details_text(entry),
    )


def build(settings: Settings) -> AuditPipeline:
    return AuditPipeline()


def workers(settings: Settings, pool: Pool) -> list[Purge]:
    """What has to run beside the pipeline."""
    return [Purge(settings.audit, pool)]
