"""`ecap demo` against the real system: it balances, and it notices when it should not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from e2e.system import System, until

from ecap.clients.postgres import Pool

_BRIEF = ("demo", "--json", "--seconds", "6", "--rate", "3")

_SPOIL = """
CREATE FUNCTION fraud.spoil() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.amount := NEW.amount + 0.01; RETURN NEW; END $$;
CREATE TRIGGER spoil BEFORE INSERT ON fraud.decisions FOR EACH ROW EXECUTE FUNCTION fraud.spoil();
"""
_REPAIR = "DROP TRIGGER spoil ON fraud.decisions; DROP FUNCTION fraud.spoil();"


async def demo(system: System, *more: str) -> tuple[int, dict[str, Any]]:
    done = await asyncio.to_thread(system.ecap, *_BRIEF, *more)
    assert done.stdout.startswith("{"), done.stderr
    return done.returncode, json.loads(done.stdout)


def wrong(found: Mapping[str, Any]) -> dict[str, Any]:
    return {row["stage"]: row["faults"] for row in found["reconciliation"] if not row["ok"]}


async def test_two_runs_at_once_balance_both(system: System) -> None:
    runs = await asyncio.gather(demo(system, "--seed", "1"), demo(system, "--seed", "2"))
    for code, found in runs:
        assert wrong(found) == {}
        assert (code, found["ok"]) == (0, True)
        accepted = found["orders"]["accepted"]
        assert 0 < accepted <= found["orders"]["planned"] == 18
        counts = {row["stage"]: row["count"] for row in found["reconciliation"]}
        for stage in ("orders stored", "order.placed", "decisions", "e-mails delivered"):
            assert counts[stage] == accepted, stage
        assert counts["orders by minute"] == accepted


@pytest.fixture
async def spoiled(books: Pool) -> AsyncIterator[None]:
    """Every decision is written a cent too high."""
    await books.execute(_SPOIL)
    yield
    await books.execute(_REPAIR)


async def test_a_cent_too_much_is_found_and_named(
    system: System, books: Pool, spoiled: None
) -> None:
    code, found = await demo(system, "--rate", "1")
    assert (code, found["ok"]) == (1, False)
    # Alerts are written beside the decisions and are not spoiled.
    assert set(wrong(found)) == {"decisions"}
    for fault in wrong(found)["decisions"]:
        known = await books.fetchval(
            "SELECT amount FROM fraud.decisions WHERE transaction_id = $1::text::uuid",
            fault.partition(" ")[0],
        )
        assert f"is worth {known:,.2f}, not {known - Decimal('0.01'):,.2f}" in fault


async def test_ctrl_c_ends_the_sending_and_still_compares(system: System, books: Pool) -> None:
    before = await books.fetchval("SELECT count(*) FROM orders.orders")

    async def ordered() -> bool:
        return bool(await books.fetchval("SELECT count(*) > $1 FROM orders.orders", before))

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ecap.cli.main", "demo", "--json", "--seconds", "3600"),
        env={**os.environ, "ECAP__STATE_DIR": str(system.state.root)},
        stdout=subprocess.PIPE,
    )
    try:
        await until(ordered, what="the first order of the demo")
        process.send_signal(signal.SIGINT)
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = json.loads(output)
    assert wrong(found) == {}
    assert process.returncode == 0
    assert 0 < found["orders"]["sent"] < found["orders"]["planned"]
