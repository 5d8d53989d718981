"""A change that hurts whoever runs it undoes itself; what else happens then does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from unit.config.hub.cluster import Cluster
from virtual_time import clock, run

from ecap.config.hub.history import verify
from ecap.config.layers.overrides import Edit
from ecap.config.member.member import Member
from ecap.config.member.probation import Vitals

# Below half a second nobody gets a connection, in these tests.
KEY = "postgres.acquire_timeout_s"
BAD, BEFORE = 0.05, 2.0


class Patient:
    """A process whose pool is no good with too short a time, and whose database can end."""

    def __init__(self) -> None:
        self.member: Member | None = None
        self.database = True
        self.requests = 0
        self.failed = 0
        self.serves = False

    def unwell(self) -> bool:
        assert self.member is not None
        return self.member.settings.postgres.acquire_timeout_s < 0.5

    async def troubles(self) -> dict[str, str]:
        if self.serves:
            return {}
        return {"postgres": "no connection in time"} if self.unwell() or not self.database else {}

    def tally(self) -> tuple[int, int]:
        return self.requests, self.failed

    async def load(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self.requests += 1
            self.failed += self.unwell()


async def patients(cluster: Cluster, *names: str) -> list[Patient]:
    found = []
    for name in names:
        one = Patient()
        one.member = cluster.add(name, vitals=Vitals(one.troubles, one.tally))
        found.append(one)
    await cluster.joined()
    return found


def value(one: Patient) -> float:
    assert one.member is not None
    return one.member.settings.postgres.acquire_timeout_s


async def set_(cluster: Cluster, new: float = BAD) -> None:
    assert cluster.hub is not None
    await cluster.hub.edit(Edit({KEY: new}), author="ann", reason="typing")


def on_cluster(test: Callable[[Cluster], Awaitable[None]]) -> None:
    async def main() -> None:
        cluster = Cluster()
        await cluster.start_hub()
        try:
            await test(cluster)
        finally:
            await cluster.stop()

    run(main())


def test_it_is_undone_for_all_within_its_bake_time() -> None:
    async def test(cluster: Cluster) -> None:
        a, b = await patients(cluster, "a", "b")
        cluster.add("without-a-database")
        await cluster.joined()
        await set_(cluster)
        assert value(a) == BAD
        await asyncio.sleep(12)
        assert await cluster.agree() == 3
        assert value(a) == value(b) == BEFORE
        entries = await cluster.entries()
        verify(entries)
        (undone,) = [entry for entry in entries if entry.kind == "rolled-back"]
        assert undone.body["undoes"] == 2
        assert "undone by itself: postgres: no connection in time" in undone.reason
        assert undone.at - entries[2].at < 10
        assert cluster.hub is not None
        assert KEY not in cluster.hub.accepted().overrides
        await asyncio.sleep(60)
        assert (await cluster.entries()) == entries

    on_cluster(test)


def test_it_is_undone_where_it_runs_with_the_hub_dead() -> None:
    async def test(cluster: Cluster) -> None:
        a, b = await patients(cluster, "a", "b")
        await set_(cluster)
        await cluster.kill_hub()
        await asyncio.sleep(12)
        assert value(a) == value(b) == BEFORE
        assert cluster.members["a"].report().failed is not None
        await cluster.start_hub()
        await asyncio.sleep(10)
        assert await cluster.agree() == 3
        assert value(a) == BEFORE

    on_cluster(test)


def test_requests_that_fail_undo_it() -> None:
    async def test(cluster: Cluster) -> None:
        (a,) = await patients(cluster, "a")
        a.serves = True
        cluster.behind(a.load())
        await asyncio.sleep(20)
        await set_(cluster)
        await asyncio.sleep(14)
        assert value(a) == BEFORE
        assert await cluster.agree() == 3
        assert "requests: " in next(e for e in await cluster.entries() if e.version == 3).reason

    on_cluster(test)


@pytest.mark.parametrize("away_s", [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 30.0])
@pytest.mark.parametrize("after_s", [-1.0, 0.5, 3.0, 9.0])
def test_a_database_that_ends_in_this_time_undoes_nothing(away_s: float, after_s: float) -> None:
    async def test(cluster: Cluster) -> None:
        (a, b) = await patients(cluster, "a", "b")

        async def outage() -> None:
            a.database = b.database = False
            await asyncio.sleep(away_s)
            a.database = b.database = True

        if after_s < 0:
            cluster.behind(outage())
            await asyncio.sleep(-after_s)
        await set_(cluster, 5.0)
        if after_s > 0:
            await asyncio.sleep(after_s)
            cluster.behind(outage())
        await asyncio.sleep(away_s + 30)
        assert value(a) == value(b) == 5.0
        assert await cluster.agree() == 2

    on_cluster(test)


@pytest.mark.parametrize("away_s", [1.0, 4.0, 6.0, 9.0, 60.0])
def test_a_hub_that_is_killed_in_this_time_undoes_nothing(away_s: float) -> None:
    async def test(cluster: Cluster) -> None:
        (a,) = await patients(cluster, "a")
        await set_(cluster, 5.0)
        await cluster.kill_hub()
        await asyncio.sleep(away_s)
        await cluster.start_hub()
        await asyncio.sleep(30)
        assert value(a) == 5.0
        assert await cluster.agree() == 2

    on_cluster(test)


def test_members_that_come_and_go_in_this_time_undo_nothing() -> None:
    async def test(cluster: Cluster) -> None:
        (a, _) = await patients(cluster, "a", "goes")
        await set_(cluster, 5.0)
        await cluster.kill("goes")
        late = Patient()
        late.database = False
        late.member = cluster.add("comes", vitals=Vitals(late.troubles, late.tally))
        await asyncio.sleep(30)
        assert value(a) == value(late) == 5.0
        assert await cluster.agree() == 2

    on_cluster(test)


def test_who_was_unwell_before_says_nothing_about_a_change() -> None:
    async def test(cluster: Cluster) -> None:
        (a, b) = await patients(cluster, "a", "b")
        a.database = False
        await asyncio.sleep(30)
        await set_(cluster, 5.0)
        await asyncio.sleep(60)
        assert value(a) == value(b) == 5.0

    on_cluster(test)


def test_a_change_behind_the_one_that_hurts_does_not_hide_it() -> None:
    async def test(cluster: Cluster) -> None:
        (a,) = await patients(cluster, "a")
        await set_(cluster)
        await asyncio.sleep(0.4)
        assert cluster.hub is not None
        await cluster.hub.edit(Edit({"fraud.deny_score": 90}), author="bob", reason="too")
        await asyncio.sleep(20)
        assert value(a) == BEFORE
        await cluster.agree()

    on_cluster(test)


def test_changes_while_it_is_tried_lose_nothing() -> None:
    async def test(cluster: Cluster) -> None:
        (a,) = await patients(cluster, "a")
        a.database = False
        await set_(cluster, 5.0)
        for score in range(81, 99):
            assert cluster.hub is not None
            await cluster.hub.edit(Edit({"fraud.deny_score": score}), author="b", reason="r")
            await asyncio.sleep(0.7)
        a.database = True
        await asyncio.sleep(30)
        await cluster.agree()
        assert (value(a), cluster.members["a"].settings.fraud.deny_score) == (5.0, 98)
        assert clock() > 0

    on_cluster(test)
