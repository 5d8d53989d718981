"""The security log as PostgreSQL has it; the stream writes it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from ecap.clients.postgres import Pool, Record
from ecap.clients.queries import load_queries
from ecap.serve.endpoints.pages import Page, moment_cursor, page
from ecap.serve.gateway.audit.models import AuditQuery, Entry

_SQL = load_queries(__package__)
_BITE = 500


class AuditLog:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def page(self, query: AuditQuery) -> Page[Entry]:
        rows = await self._rows(query, moment_cursor(query.cursor), query.limit + 1)
        return page(rows, query.limit, _entry, by=("at", "id"))

    def lines(self, query: AuditQuery) -> AsyncIterator[bytes]:
        """Everything from the query's cursor on, in blocks of JSON lines, without e-mails.
        Raises Invalid here, as in the middle of an answer it is too late."""
        return self._lines(query, moment_cursor(query.cursor))

    async def _lines(self, query: AuditQuery, after: tuple[Any, Any]) -> AsyncIterator[bytes]:
        while rows := await self._rows(query, after, _BITE):
            yield b"".join(_line(row) for row in rows)
            after = rows[-1]["at"], rows[-1]["id"]

    async def _rows(self, query: AuditQuery, after: tuple[Any, Any], limit: int) -> list[Record]:
        return await self._pool.fetch(
            _SQL["page"],
            query.actor,
            query.subject,
            query.action,
            query.outcome,
            query.since,
            query.until,
            *after,
            limit,
        )


def _entry(row: Record) -> Entry:
    return Entry.model_construct(**{**row, "details": json.loads(row["details"])})


def _line(row: Record) -> bytes:
    return _entry(row).model_dump_json(exclude_none=True).encode() + b"\n"
