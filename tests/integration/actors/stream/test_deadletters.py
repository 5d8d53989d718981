"""`ecap dlq` on a real database."""

from __future__ import annotations

import asyncio
import getpass
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from stream_servers import World
from typer.testing import CliRunner

from ecap.actors.stream.deadletters import DeadLetter, bury
from ecap.cli import dlq
from ecap.domain.events.audit import AuditEntry
from ecap.domain.events.codec import decode
from ecap.domain.values.ids import new_id


async def ecap(*argv: str) -> tuple[int, str]:
    result = await asyncio.to_thread(CliRunner().invoke, dlq.app, list(argv))
    return result.exit_code, result.output


@pytest.fixture
async def letters(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(dlq, "settings_here", world.settings)
    found = [
        DeadLetter("transactions", 1, pos, 0, "malformed", "no json", "user-1", b"\xffoops")
        for pos in (3, 4)
    ]
    async with world.pool.transaction() as conn:
        await bury(conn, "fraud", found, now=datetime.now(UTC))
    rows = await world.pool.fetch("SELECT id FROM stream.dead_letters ORDER BY pos")
    return [str(row["id"]) for row in rows]


async def listed(*argv: str) -> list[dict[str, Any]]:
    code, output = await ecap("list", "--json", *argv)
    assert code == 0
    found: list[dict[str, Any]] = json.loads(output)
    return found


async def test_list_show_replay(letters: list[str]) -> None:
    assert [row["pos"] for row in await listed()] == [4, 3]
    assert await listed("--pipeline", "users") == []
    code, output = await ecap("list")
    assert code == 0
    assert "malformed" in output
    code, output = await ecap("show", letters[0])
    assert code == 0
    assert "\\xffoops" in output

    code, output = await ecap("replay")
    assert code == 1
    code, output = await ecap("replay", letters[0])
    assert (code, output.split(" ")[0]) == (0, "1")
    assert [row["id"] for row in await listed("--status", "requested")] == [letters[0]]
    code, output = await ecap("replay", "--all", "--json")
    assert json.loads(output) == {"requested": [letters[1]]}


async def test_a_replay_is_in_the_security_log(letters: list[str], world: World) -> None:
    await ecap("replay", "--pipeline", "users")  # none: nothing happened
    await ecap("replay", letters[0])
    await ecap("replay", "--all")
    rows = await world.pool.fetch(
        "SELECT body FROM stream.outbox WHERE topic = 'audit-stream' ORDER BY seq"
    )
    one, rest = (decode(bytes(row["body"])).payload for row in rows)
    assert one == AuditEntry(
        action="deadletters.replayed",
        outcome="done",
        actor=getpass.getuser(),
        actor_kind="command",
        subject=letters[0],
        details={"letters": [letters[0]], "count": 1},
    )
    assert isinstance(rest, AuditEntry)
    assert rest.details == {"letters": [letters[1]], "count": 1}


async def test_an_unknown_letter_is_said_to_be_unknown(letters: list[str]) -> None:
    unknown = new_id()
    code, _ = await ecap("show", str(unknown))
    assert code == 1
