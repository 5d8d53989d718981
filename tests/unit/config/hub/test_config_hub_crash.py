"""Whatever dies and whenever: all members end on one version, and no change is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.config.hub.cluster import Cluster, layer
from virtual_time import run

from ecap.config.hub.history import DECISIONS, Entry, verify
from ecap.config.layers.overrides import Edit
from ecap.config.rollout.canary import Canary
from ecap.config.settings.services.fraud import Fraud
from ecap.errors import EcapError, Misconfigured


async def change(cluster: Cluster, value: int, canary: Canary | None = None) -> None:
    assert cluster.hub is not None
    with suppress(EcapError):
        await cluster.hub.edit(
            Edit({"fraud.deny_score": value}), author="ann", reason="t", canary=canary
        )


async def _nothing(old: int, new: int) -> None:
    pass


# What goes into the history at once: where nobody is asked, the proposal waits for what follows.
ASKED = ["proposed", "canary", "applied", "settled"]
NOBODY_ASKED = ["proposed and canary", "applied", "settled"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("asked", "step"),
    [
        *((True, 1 + at) for at in range(len(ASKED))),
        *((False, 1 + at) for at in range(len(NOBODY_ASKED))),
    ],
)
def test_a_hub_killed_in_any_phase_of_an_apply(asked: bool, step: int, moment: str) -> None:
    async def main() -> None:
        cluster = Cluster()
        await cluster.start_hub()
        cluster.add("a")
        b = cluster.add("b")
        if asked:
            b.subscribe("fraud.deny_score", int, _nothing, check=lambda new: None)
        await cluster.joined()
        await cluster.heard()
        cluster.history.die_at = (cluster.history.appends + step, moment)
        canary = Canary(members=("a",), bake_s=5)
        changing = asyncio.create_task(change(cluster, 90, canary))
        await cluster.hub_death()
        await changing
        before = await cluster.entries()
        cluster.history.die_at = None
        await asyncio.sleep(3)
        versions = {member.version for member in cluster.members.values()}
        await cluster.start_hub()
        await asyncio.sleep(30)
        await cluster.agree()
        # Durable once it is in the history; before that, whoever asked saw it fail.
        lost = step == 1 and moment == "before"
        expected = 80 if lost else 90
        assert {m.settings.fraud.deny_score for m in cluster.members.values()} == {expected}
        entries = await cluster.entries()
        assert entries[: len(before)] == before
        verify(entries)
        assert max(versions) <= max(m.version for m in cluster.members.values())
        await cluster.stop()

    run(main())


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", range(1, 4))
def test_a_hub_killed_while_it_undoes(step: int, moment: str) -> None:
    async def main() -> None:
        cluster = Cluster()
        await cluster.start_hub()
        cluster.add("a")
        b = cluster.add("b")
        await cluster.joined()

        async def refuses(old: Fraud, new: Fraud) -> None:
            if new.deny_score == 90:
                raise ValueError("no")

        b.subscribe("fraud", Fraud, refuses)
        # proposed and applied, rolled-back, settled
        cluster.history.die_at = (cluster.history.appends + step, moment)
        asked = asyncio.create_task(change(cluster, 90))
        await cluster.hub_death()
        await asked
        cluster.history.die_at = None
        await cluster.start_hub()
        await asyncio.sleep(30)
        await cluster.agree()
        assert {m.settings.fraud.deny_score for m in cluster.members.values()} == {80}
        verify(await cluster.entries())
        await cluster.stop()

    run(main())


def test_a_hub_killed_again_and_again_while_it_recovers() -> None:
    async def main() -> None:
        cluster = Cluster()
        await cluster.start_hub()
        cluster.add("a")
        await cluster.joined()
        canary = Canary(members=("a",), bake_s=5)
        cluster.history.die_at = (cluster.history.appends + 1, "after")
        asked = asyncio.create_task(change(cluster, 90, canary))
        await cluster.hub_death()
        await asked
        for moment in ("before", "after", "before", "after"):
            cluster.history.die_at = (cluster.history.appends + 1, moment)
            await cluster.start_hub()
            await cluster.hub_death()
        cluster.history.die_at = None
        await cluster.start_hub()
        await asyncio.sleep(30)
        await cluster.agree()
        assert cluster.members["a"].settings.fraud.deny_score == 90
        await cluster.stop()

    run(main())


def test_members_keep_the_last_good_version_while_there_is_no_hub() -> None:
    async def main() -> None:
        cluster = Cluster()
        await cluster.start_hub()
        a = cluster.add("a")
        await cluster.joined()
        await change(cluster, 90)
        await cluster.kill_hub()
        await asyncio.sleep(3600)
        assert a.settings.fraud.deny_score == 90
        assert a.silence_s > 3500
        await cluster.start_hub()
        await asyncio.sleep(3)
        assert a.silence_s < 3
        assert await cluster.agree() == 2
        await cluster.stop()

    run(main())


def test_a_secret_is_there_again_without_its_store() -> None:
    async def main() -> None:
        cluster = Cluster()
        cluster.secrets.values["vault:a#b"] = "hunter2"
        await cluster.start_hub()
        cluster.add("a")
        await cluster.joined()
        assert cluster.hub is not None
        await cluster.hub.edit(Edit({"smtp.password": "vault:a#b"}), author="a", reason="")
        await cluster.kill_hub()
        cluster.secrets.away = True
        await cluster.start_hub()
        late = cluster.add("late")
        await late.joined(timeout_s=5)
        password = late.settings.smtp.password
        assert password is not None
        assert password.get_secret_value() == "hunter2"
        await cluster.stop()

    run(main())


def test_an_altered_history_stops_the_hub() -> None:
    async def main() -> None:
        cluster = Cluster()
        hub = await cluster.start_hub()
        cluster.add("a")
        await cluster.joined()
        await change(cluster, 90)
        await cluster.kill_hub()
        entries: list[Any] = cluster.history.history._entries  # type: ignore[attr-defined]
        entries[1].body["edit"]["sets"]["fraud.deny_score"] = 10
        hub = await cluster.start_hub()
        assert cluster._hub_task is not None
        with pytest.raises(Misconfigured, match="altered at entry 2"):
            await cluster._hub_task
        assert hub is cluster.hub
        await cluster.stop()

    run(main())


def replayed(entries: list[Entry]) -> dict[str, Any]:
    """The oracle: settings from the history's own words alone."""
    values: dict[str, Any] = {}
    for entry in entries:
        if entry.kind in DECISIONS:
            for key, change_ in entry.body.get("changes", {}).items():
                values.pop(key, None)
                if "to" in change_:
                    values[key] = change_["to"]
    return values


KEYS = st.sampled_from(["fraud.deny_score", "fraud.review_score", "orders.max_lines"])
STEPS = st.one_of(
    st.tuples(st.just("set"), KEYS, st.integers(1, 99)),
    st.tuples(st.just("unset"), KEYS),
    st.tuples(st.just("offer"), KEYS, st.integers(1, 99)),
    st.tuples(st.just("die"), st.integers(1, 5), st.sampled_from(["before", "after"])),
    st.tuples(st.just("cut"), st.sampled_from("abc")),
    st.tuples(st.just("heal"), st.sampled_from("abc")),
    st.tuples(st.just("restart"), st.sampled_from("abc")),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.01, 1.0, 15.0])),
    st.tuples(st.just("back"), st.integers(1, 6)),
)


@settings(max_examples=30)
@given(st.lists(STEPS, max_size=14))
def test_any_sequence_converges(steps: list[tuple[Any, ...]]) -> None:
    async def main() -> None:
        cluster = Cluster()
        await cluster.start_hub()
        for name in "abc":
            cluster.add(name)
        await cluster.joined()
        offered: dict[str, int] = {}
        try:
            for step in steps:
                await _do(cluster, step, offered)
            await _calm(cluster, offered)
        finally:
            await cluster.stop()

    run(main())


async def _do(cluster: Cluster, step: tuple[Any, ...], offered: dict[str, int]) -> None:
    if cluster.hub_is_down or cluster.hub is None:
        cluster.history.die_at = None
        await cluster.start_hub()
    hub = cluster.hub
    assert hub is not None
    match step:
        case ("set", key, value):
            cluster.behind(_quietly(hub.edit(Edit({key: value}), author="a", reason="")))
        case ("unset", key):
            cluster.behind(_quietly(hub.edit(Edit(unsets=(key,)), author="a", reason="")))
        case ("offer", key, value):
            offered[key] = value
            cluster.behind(_quietly(hub.offer({"base": _base(offered)}, reason="")))
        case ("back", version):
            cluster.behind(_quietly(hub.roll_back(version, author="a", reason="")))
        case ("die", appends, moment):
            cluster.history.die_at = (cluster.history.appends + appends, moment)
        case ("cut", name):
            cluster.cut.add(name)
        case ("heal", name):
            cluster.cut.discard(name)
        case ("restart", name):
            await cluster.kill(name)
            cluster.add(name)
        case ("wait", seconds):
            await asyncio.sleep(seconds)


async def _quietly(call: Any) -> None:
    with suppress(EcapError):
        await call


def _base(offered: dict[str, int]) -> Any:
    return layer("base", **{key.replace(".", "__"): value for key, value in offered.items()})


async def _calm(cluster: Cluster, offered: dict[str, int]) -> None:
    cluster.cut.clear()
    await asyncio.sleep(60)
    cluster.history.die_at = None
    if cluster.hub_is_down:
        await cluster.start_hub()
        await asyncio.sleep(60)
    hub = cluster.hub
    assert hub is not None
    await hub.offer({"base": _base(offered)}, reason="a source tells again")
    await cluster.agree()
    entries = await cluster.entries()
    verify(entries)
    now = hub.accepted()
    for key, value in replayed(entries).items():
        assert now.leaves[key] == value, key
    for key in ("fraud.deny_score", "fraud.review_score", "orders.max_lines"):
        if key in now.overrides:
            assert now.leaves[key] == now.overrides[key].value
        elif key in offered:
            assert now.leaves[key] == offered[key]
