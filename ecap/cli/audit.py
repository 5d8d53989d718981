"""`ecap audit`: the security log, straight from the database: it is wanted most when little else
answers, and asking over HTTP would add a log-in to it each time."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import ValidationError

from ecap.cli.failure import fail
from ecap.cli.options import Json
from ecap.clients.database import open_database
from ecap.clients.postgres import Pool
from ecap.config.secrets.keyring.live import open_keyring
from ecap.config.settings.tree import Settings
from ecap.errors import EcapError, Invalid
from ecap.local.state.running import settings_here
from ecap.serve.auth.people import People
from ecap.serve.gateway.audit.models import AuditQuery, Entry
from ecap.serve.gateway.audit.names import ids_of
from ecap.serve.gateway.audit.store import AuditLog

app = typer.Typer(add_completion=False, help="Who did what, and how it ended, the newest first.")
_PAGE = 100
_AGO = re.compile(r"([0-9]{1,5})([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@app.command()
def show(
    actor: Annotated[str | None, typer.Option(help="who: an account's id, a login name")] = None,
    subject: Annotated[str | None, typer.Option(help="whom or what it was done to")] = None,
    action: Annotated[str | None, typer.Option(help="such as login or config.changed")] = None,
    outcome: Annotated[str | None, typer.Option(help="done, failed or refused")] = None,
    since: Annotated[
        str | None, typer.Option(help="included: 2026-03-01T12:00:00Z, or 90s, 15m, 2h, 7d ago")
    ] = None,
    until: Annotated[str | None, typer.Option(help="excluded, written the same way")] = None,
    limit: Annotated[int, typer.Option(min=1, help="newest first")] = 50,
    json: Json = False,
) -> None:
    """Who did what, and how it ended, the newest first."""
    now = datetime.now(UTC)
    try:
        query = AuditQuery(
            limit=_PAGE,
            actor=actor,
            subject=subject,
            action=action,
            outcome=outcome,
            since=_moment(since, "since", now),
            until=_moment(until, "until", now),
        )
        asyncio.run(_show(query, limit, json))
    except ValidationError as exc:
        first = exc.errors()[0]
        raise fail(Invalid(f"--{first['loc'][0]}: {first['msg']}")) from None
    except EcapError as exc:
        raise fail(exc) from exc


async def _show(query: AuditQuery, limit: int, json: bool) -> None:
    settings = settings_here()
    async with open_database(settings, service="audit") as pool:
        log, left = AuditLog(pool), limit
        while left > 0:
            page = await log.page(query.model_copy(update={"limit": min(left, _PAGE)}))
            names = {} if json else await _emails(settings, pool, page.items)
            for entry in page.items:
                print(entry.model_dump_json(exclude_none=True) if json else _line(entry, names))
            left -= len(page.items)
            if page.next_cursor is None:
                return
            query = query.model_copy(update={"cursor": page.next_cursor})


async def _emails(settings: Settings, pool: Pool, entries: tuple[Entry, ...]) -> dict[str, str]:
    """Without the keyring, the ids have to do."""
    ids = [UUID(one) for one in ids_of(entries)]
    if not ids:
        return {}
    try:
        async with open_keyring(settings) as ring:
            found = await People(pool, ring).emails(ids)
    except EcapError as exc:
        print(f"ecap: no e-mails: {exc}", file=sys.stderr)
        return {}
    return {str(user_id): email for user_id, email in found.items()}


def _line(entry: Entry, names: dict[str, str]) -> str:
    who = names.get(entry.actor, entry.actor)
    whom = names.get(entry.subject, entry.subject)
    parts = (
        f"{entry.at:%Y-%m-%d %H:%M:%S}Z",
        f"{entry.action:<20}",
        f"{entry.outcome:<7}",
        who if whom in ("", who) else f"{who} -> {whom}",
        entry.address,
        " ".join(f"{name}={_text(value)}" for name, value in entry.details.items()),
    )
    return "  ".join(part for part in parts if part)


def _text(value: Any) -> str:
    if not isinstance(value, dict):
        return ",".join(map(str, value)) if isinstance(value, list) else str(value)
    if value.keys() <= {"from", "to"}:
        return f"{_text(value.get('from', ''))}->{_text(value.get('to', ''))}"
    return ",".join(f"{name}:{_text(one)}" for name, one in value.items())


def _moment(text: str | None, name: str, now: datetime) -> datetime | None:
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        return now - timedelta(seconds=int(ago[1]) * _UNITS_S[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            f"--{name}: {text!r} is no moment; write 2026-03-01T12:00:00Z or 2h"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
