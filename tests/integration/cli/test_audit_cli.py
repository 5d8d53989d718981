"""`ecap audit`, and what commands tell the log."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from typer.testing import CliRunner, Result

from ecap.cli import audit
from ecap.cli.job import commands, places
from ecap.cli.job.face import Row, Say
from ecap.cli.told import by_command, told
from ecap.clients.migrations import migrate
from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings
from ecap.config.secrets.keyring.live import open_keyring
from ecap.domain.events.audit import AuditEntry
from ecap.domain.events.codec import decode
from ecap.domain.values.ids import new_id
from ecap.errors import Refused, Unavailable
from ecap.serve.auth.people import People
from ecap.serve.auth.store import Accounts


@pytest.fixture
async def pool(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    monkeypatch.setattr(audit, "settings_here", lambda: settings)
    async with open_pool(settings.postgres, service="tests") as opened:
        await migrate(opened)
        yield opened


async def ecap(*argv: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, audit.app, list(argv))


async def add(pool: Pool, actor: str, subject: str, count: int) -> None:
    await pool.execute(
        """INSERT INTO audit.entries
               (id, at, source, action, outcome, actor, actor_kind, subject, address,
                request_id, details)
           SELECT gen_random_uuid(), now() - n * interval '1 hour', 'auth', 'login', 'done', $1,
                  'user', $2, '192.0.2.1', 'r', jsonb_build_object('n', n)
           FROM generate_series(1, $3::int) AS n""",
        actor,
        subject,
        count,
    )


async def test_lines_for_programs(pool: Pool) -> None:
    actor = f"actor-{new_id()}"
    await add(pool, actor, "", 250)
    result = await ecap("--actor", actor, "--json", "--limit", "230")
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in result.output.splitlines()]
    assert [entry["details"]["n"] for entry in found] == list(range(1, 231))
    options = ["--actor", actor, "--since", "5h", "--until", "90m", "--json"]
    found = [json.loads(line) for line in (await ecap(*options)).output.splitlines()]
    assert [entry["details"]["n"] for entry in found] == [2, 3, 4]


async def test_people_see_emails(pool: Pool, settings: Settings) -> None:
    email = f"{new_id().hex}@example.org"
    async with open_keyring(settings) as ring:
        accounts = Accounts(pool, People(pool, ring))
        known = await accounts.add(email, "x", "Ann", roles=["customer"], now=datetime.now(UTC))
    account = known.account
    await add(pool, str(account.id), "somebody-else", 1)
    result = await ecap("--subject", "somebody-else", "--actor", str(account.id))
    assert f"{email} -> somebody-else" in result.output
    assert str(account.id) not in result.output


async def test_people_read_what_changed(pool: Pool) -> None:
    subject = f"subject-{new_id()}"
    await add(pool, "ann", subject, 1)
    await pool.execute(
        """INSERT INTO audit.entries
           SELECT gen_random_uuid(), now(), now(), source, 'account.changed', outcome, actor,
                  actor_kind, subject, address, request_id, $2::jsonb
           FROM audit.entries WHERE subject = $1""",
        subject,
        '{"roles": {"from": ["customer"], "to": ["customer", "admin"]}}',
    )
    lines = (await ecap("--subject", subject)).output.splitlines()
    assert lines[0].endswith("roles=customer->customer,admin")
    assert lines[1].endswith("n=1")


@pytest.mark.parametrize(
    "argv", [["--since", "soon"], ["--outcome", "maybe"], ["--since", "1800-01-01T00:00:00Z"]]
)
async def test_a_wrong_option_is_one_sentence(pool: Pool, argv: list[str]) -> None:
    result = await ecap(*argv)
    assert (result.exit_code, argv[0] in result.output) == (1, True)


async def entries(pool: Pool, subject: str) -> list[AuditEntry]:
    rows = await pool.fetch("SELECT body FROM config.outbox WHERE key = $1", subject)
    found = [decode(bytes(row["body"])).payload for row in rows]
    return [entry for entry in found if isinstance(entry, AuditEntry)]


async def test_what_a_command_did_is_told_when_it_is_done(pool: Pool, settings: Settings) -> None:
    subject = f"vault:x#{new_id()}"

    def refused() -> int:
        raise Refused("no")

    telling = partial(told, "config", lambda: settings)
    tells = lambda version: by_command("secret.written", subject=subject, version=version)  # noqa: E731
    with pytest.raises(Refused):
        await asyncio.to_thread(telling, refused, tells)
    assert await entries(pool, subject) == []
    assert await asyncio.to_thread(telling, lambda: 3, tells) == 3
    assert await entries(pool, subject) == [
        AuditEntry(
            action="secret.written",
            outcome="done",
            actor=getpass.getuser(),
            actor_kind="command",
            subject=subject,
            details={"version": 3},
        )
    ]


def test_without_a_database_it_is_done_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[int] = []

    def settings() -> Settings:
        raise Unavailable("nobody there")

    def act() -> None:
        done.append(1)

    told("config", settings, act, lambda _: by_command("secret.written", subject="s"))
    assert done == [1]
    assert "not in the security log: nobody there" in capsys.readouterr().err


class Started:
    """A place where a job starts at once, or not."""

    def __init__(self, job: str | None) -> None:
        self._job = job

    def submit(self, name: str, arguments: Sequence[str], *, workers: int | None) -> str:
        if self._job is None:
            raise Refused("nothing runs here")
        return self._job

    def rows(self, job: str | None) -> list[Row]:
        return []

    def follow(self, job: str, say: Say, *, to_the_end: bool) -> int:
        return 0

    def stop(self, job: str) -> str:
        return "stopped"


@pytest.mark.parametrize("started", [True, False])
async def test_a_job_that_was_submitted_is_told(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    monkeypatch.setattr(commands, "settings_here", lambda: settings)
    job = f"revenue-{new_id()}" if started else None
    monkeypatch.setattr(places, "of", lambda *_, **__: Started(job))
    before = await pool.fetchval("SELECT coalesce(max(seq), 0) FROM stream.outbox")
    argv = ["submit", "revenue"]
    result = await asyncio.to_thread(CliRunner().invoke, commands.app, argv)
    assert result.exit_code == (0 if started else 1), result.output
    rows = await pool.fetch("SELECT key, body FROM stream.outbox WHERE seq > $1", before)
    assert [row["key"] for row in rows] == ([job] if started else [])
    assert all(b'"job.submitted"' in row["body"] for row in rows)
