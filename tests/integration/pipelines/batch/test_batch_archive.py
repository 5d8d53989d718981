"""Every event once in the archive, whatever stops a run; and recomputing from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from integration.pipelines.batch.past import Past
from integration.pipelines.batch.test_batch_revenue import order

from ecap.errors import Conflict, Unavailable
from ecap.pipelines.batch.frame.parquet import Lake
from ecap.pipelines.batch.lake import archive
from ecap.pipelines.stream.analytics.pipeline import build
from ecap.pipelines.stream.fraud.pipeline import build as build_fraud

DAY_S = 86400


def bodies(folder: Path) -> dict[tuple[int, int], bytes]:
    """As an engine sees them that knows nothing of ranges."""
    found = {}
    for path in sorted(folder.glob("transactions/day=*/*.parquet")):
        if path.name.startswith("_"):
            continue
        for row in pq.ParquetFile(path).read().to_pylist():
            place = row["partition"], row["pos"]
            assert place not in found
            found[place] = row["body"]
            if row["occurred_at"] is not None:
                assert f"{row['occurred_at']:%Y-%m-%d}" in str(path)
    return found


class Killed(Exception):
    pass


def files(folder: Path, pattern: str) -> dict[Path, int]:
    """When each was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob(pattern)}


async def truth(past: Past) -> dict[tuple[int, int], bytes]:
    rows = await past.pool.fetch("SELECT partition, pos, body FROM orders.outbox")
    return {(row[0], row[1]): row[2] for row in rows}


async def test_each_event_once_and_only_what_is_new(past: Past, tmp_path: Path) -> None:
    await past.happen([order(n, n * DAY_S / 10) for n in range(1, 40)])
    given = {"to": str(tmp_path), "slice_events": 3}
    first = await past.run("archive", **given)
    assert first.document["events"] == 39
    before = files(tmp_path, "*.parquet")
    assert (await past.run("archive", **given)).document["events"] == 0
    await past.happen([order(n, n) for n in range(40, 50)])
    assert (await past.run("archive", **given)).document["events"] == 10
    assert bodies(tmp_path) == await truth(past)
    assert before.items() <= files(tmp_path, "*.parquet").items()


async def test_a_run_that_was_stopped(
    past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every place where it writes."""
    await past.happen([order(n, n * DAY_S / 4) for n in range(1, 40)])
    put, writes, kills = Lake._put, 0, 0

    def killed(self: Lake, name: str, content: Any) -> None:
        nonlocal writes, kills
        writes += 1
        if writes % 7 == 0:
            kills += 1
            if kills % 2:
                part = (tmp_path / name).with_name(f"_unfinished-{Path(name).name}")
                part.parent.mkdir(parents=True, exist_ok=True)
                part.write_bytes(b"PAR")
            raise Killed
        put(self, name, content)

    monkeypatch.setattr(Lake, "_put", killed)
    while True:
        try:
            # Of another size, so that what was left behind is not overwritten by the way.
            await past.run("archive", to=str(tmp_path), slice_events=2 + kills % 3)
        except Killed:
            continue
        break
    assert kills > 2
    assert bodies(tmp_path) == await truth(past)
    assert not files(tmp_path, "_unfinished*")


async def test_jobs_read_what_the_outbox_has_forgotten(past: Past, tmp_path: Path) -> None:
    # Positions and days in different orders.
    await past.happen([order(n, n * 7 % 10 * DAY_S) for n in range(1, 60)])
    await past.applied(build(past.settings))
    await past.applied(build_fraud(past.settings))
    whole = await past.run("revenue")
    rescored = await past.run("fraud-rescore")
    await past.run("archive", to=str(tmp_path), slice_events=5)
    await past.purge(below=6)
    assert len(await truth(past)) < 59
    again = await past.run("revenue", archive=str(tmp_path), slice_events=7)
    assert again == whole
    assert again.document["cells"] > 15
    assert await past.run("fraud-rescore", archive=str(tmp_path)) == rescored
    short = await past.run("fraud-rescore")
    assert short.document["forgotten"] > 0
    # The archive goes on after the outbox has forgotten, as long as nothing lies between.
    await past.happen([order(n, n) for n in range(60, 65)])
    assert (await past.run("archive", to=str(tmp_path))).document["events"] == 5


async def test_a_hole_is_said_not_skipped(past: Past, tmp_path: Path) -> None:
    await past.happen([order(n, n) for n in range(1, 30)])
    await past.run("archive", to=str(tmp_path))
    await past.happen([order(n, n) for n in range(30, 60)])
    await past.applied(build(past.settings))
    await past.purge(below=9)
    with pytest.raises(Unavailable, match="lacks"):
        await past.run("archive", to=str(tmp_path))
    with pytest.raises(Unavailable, match="lacks transactions"):
        await past.run("revenue", archive=str(tmp_path))


async def test_two_at_once(past: Past, tmp_path: Path) -> None:
    async with archive._alone(past.settings, str(tmp_path)):
        with pytest.raises(Conflict, match="another run"):
            await past.run("archive", to=str(tmp_path))
