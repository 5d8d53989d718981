"""What is printed, at the widths and heights of real terminals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from unit.demo.demo_world import World

from ecap.demo.books.collection import Left
from ecap.demo.books.reconciliation import Evidence, reconcile
from ecap.demo.shoppers.latency import Meter
from ecap.demo.shoppers.plan import Wishes
from ecap.demo.show.outcome import Outcome
from ecap.demo.show.report import report
from ecap.demo.show.screen import Lines, board
from ecap.demo.show.view import Milliseconds, Seen, View

MINUTE = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CATEGORIES = [f"category-{i}" for i in range(10)]


def now(**changes: Any) -> View:
    revenue = {
        MINUTE + timedelta(minutes=i): dict.fromkeys(CATEGORIES, 123456700 + i) for i in range(3)
    }
    facts: dict[str, Any] = {
        "passed_s": 41.0,
        "seconds": 60.0,
        "people": 150,
        "per_second": 123.4,
        "accepted": 12_345,
        "sent": 12_346,
        "repeats": 345,
        "orders_ms": Milliseconds(418.2, 1607.0),
        "requests_ms": Milliseconds(9.9, 1368.0),
        "decisions": {"approve": 12_000, "review": 300, "deny": 45},
        "refused": {"out of stock": 12},
        "waited": {"in-flight": 12, "answer given up, asked again": 17},
        "seen": Seen(345, 12_000, {"fraud": 4, "outbox": 2, "users": 0}, revenue),
    }
    return View(**(facts | changes))


def printed(what: Any, *, width: int, height: int = 24) -> list[str]:
    console = Console(file=StringIO(), width=width, height=height, force_terminal=False)
    console.print(what)
    output = console.file
    assert isinstance(output, StringIO)
    return output.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("height", [16, 24, 50])
def test_the_board_leaves_a_line_for_the_cursor(width: int, height: int) -> None:
    lines = printed(board(now(), None, height=height), width=width)
    assert len(lines) < max(height, 18)
    text = "\n".join(lines)
    assert "p50 418 ms  p99 1.6 s" in text
    if height < 24:
        assert "others" in text


def test_what_nobody_could_say_is_unknown() -> None:
    text = "\n".join(printed(board(now(seen=Seen()), None, height=24), width=80))
    assert "Stream lag     ?" in text


def test_a_line_has_the_same_numbers() -> None:
    console = Console(file=StringIO(), width=40)
    lines = Lines(console)
    lines.show(now())
    lines.waiting(Left(0, {"fraud": 3, "users": 0}, 0, 2))
    assert isinstance(console.file, StringIO)
    first, second = console.file.getvalue().splitlines()
    assert "123.4 orders/s" in first
    assert "approve 12000   review 300   deny 45" in first
    assert second == "waiting for the streams: fraud 3, mails 2"


def outcome(world: World, evidence: Evidence) -> Outcome:
    return Outcome(
        run="abc",
        wishes=Wishes(1, 60.0, 10.0),
        took_s=60.0,
        planned=9,
        rows=reconcile(world.ledger, evidence),
        ledger=world.ledger,
        meter=Meter(),
        unscored=frozenset(),
        limited={"/api/v1/auth/login": 2},
    )


def test_the_report_fits_80_columns_and_names_what_differs() -> None:
    world = World()
    for number in range(1, 4):
        world.order(number, amount=9_999_999_99, decision="deny")
    found = outcome(world, world.evidence())
    console = Console(file=StringIO(), width=80)
    report(found, console)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "to the cent" in text
    assert "…" not in text
    assert "rate limited at /api/v1/auth/login 2" in " ".join(text.split())
    assert found.document()["ok"] is True

    assert "no requests (5xx, or no answer)" in " ".join(text.split())

    evidence = world.evidence()
    evidence = replace(evidence, decisions=evidence.decisions[1:])
    console = Console(file=StringIO(), width=80)
    world.ledger.waited["no answer"] = 1
    found = outcome(world, evidence)
    found.meter.statuses.update({200: 5, 429: 4, 500: 1, 503: 2})
    assert found.document()["failed"] == 4
    report(found, console)
    assert isinstance(console.file, StringIO)
    assert "1 of 14 rows differ" in console.file.getvalue()
    assert "missing: 00000000-0000-0000-0000-000000000001" in console.file.getvalue()
    assert found.document()["ok"] is False
