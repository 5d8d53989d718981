"""A change reaches every member or none: asked, tried, applied, acknowledged, or undone."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from unit.config.hub.cluster import Cluster, layer
from virtual_time import clock, run

from ecap.config.hub import proposals
from ecap.config.hub.history import Entry, verify
from ecap.config.layers.layer import Given, Layer, Source
from ecap.config.layers.overrides import Edit
from ecap.config.protocol import Changes, Health, Instruction, Report, Snapshot
from ecap.config.rollout.canary import Canary
from ecap.config.settings.limits import Limits
from ecap.config.settings.log import Log
from ecap.config.settings.services.fraud import Fraud
from ecap.config.settings.tree import Settings
from ecap.errors import (
    Conflict,
    EcapError,
    Invalid,
    Misconfigured,
    NotFound,
    PreconditionFailed,
    Unavailable,
)

Test = Callable[..., Awaitable[None]]


def on_cluster(test: Test) -> Callable[..., None]:
    """A hub and three members, on a virtual clock."""

    @functools.wraps(test)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            cluster = Cluster()
            try:
                await cluster.start_hub()
                for name in ("a", "b", "c"):
                    cluster.add(name)
                await cluster.joined()
                await test(cluster, *args, **kwargs)
            finally:
                await cluster.stop()

        run(main())

    # pytest reads the signature, and would ask for a fixture `cluster`.
    signature = inspect.signature(test)
    rest = [p for name, p in signature.parameters.items() if name != "cluster"]
    wrapped.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
    return wrapped


def edit(**values: Any) -> Edit:
    return Edit({name.replace("__", "."): value for name, value in values.items()})


async def set_(cluster: Cluster, **values: Any) -> int:
    assert cluster.hub is not None
    return (await cluster.hub.edit(edit(**values), author="ann", reason="test")).version


async def kinds(cluster: Cluster) -> list[str]:
    return [entry.kind for entry in await cluster.entries()]


@on_cluster
async def test_a_change_runs_everywhere_and_stands_in_the_history(cluster: Cluster) -> None:
    version = await set_(cluster, fraud__deny_score=90)
    assert await cluster.agree() == version == 2
    assert all(m.settings.fraud.deny_score == 90 for m in cluster.members.values())
    entries = await cluster.entries()
    assert [e.kind for e in entries] == ["booted", "proposed", "applied", "settled"]
    assert verify(entries) == 4
    assert (entries[2].author, entries[2].reason) == ("ann", "test")
    assert entries[2].body["changes"] == {"fraud.deny_score": {"from": 80, "to": 90}}
    assert entries[3].body["members"] == {"a": 2, "b": 2, "c": 2}


@on_cluster
async def test_without_the_override_the_layer_below_counts_again(cluster: Cluster) -> None:
    assert cluster.hub is not None
    await cluster.hub.offer({"vault": layer("vault", fraud__deny_score=85)}, reason="changed")
    await set_(cluster, fraud__deny_score=90)
    await cluster.hub.edit(Edit(unsets=("fraud.deny_score",)), author="ann", reason="back")
    await cluster.agree()
    assert cluster.members["a"].settings.fraud.deny_score == 85
    with pytest.raises(NotFound):
        await cluster.hub.edit(Edit(unsets=("fraud.deny_score",)), author="ann", reason="again")


@on_cluster
async def test_an_override_ends_when_it_expires(cluster: Cluster) -> None:
    assert cluster.hub is not None
    later = Edit({"fraud.deny_score": 90}, expires_at=clock() + 60)
    await cluster.hub.edit(later, author="ann", reason="for a minute")
    await asyncio.sleep(59)
    assert cluster.members["a"].settings.fraud.deny_score == 90
    await asyncio.sleep(2)
    await cluster.agree()
    assert cluster.members["a"].settings.fraud.deny_score == 80
    assert (await cluster.entries())[-2].author == "hub"


@on_cluster
async def test_an_override_that_cannot_end_is_not_tried_all_the_time(cluster: Cluster) -> None:
    assert cluster.hub is not None
    refuses = True

    async def check(new: int) -> None:
        if refuses and new == 80:
            raise ValueError("not now")

    cluster.members["a"].subscribe("fraud.deny_score", int, _nothing, check=check)
    later = Edit({"fraud.deny_score": 90}, expires_at=clock() + 1)
    await cluster.hub.edit(later, author="ann", reason="for a moment")
    await asyncio.sleep(25)
    kinds = [entry.kind for entry in await cluster.entries()]
    assert 2 <= kinds.count("refused") <= 3
    refuses = False
    await asyncio.sleep(15)
    await cluster.agree()
    assert cluster.members["a"].settings.fraud.deny_score == 80


async def _nothing(old: Any, new: Any) -> None:
    pass


@on_cluster
@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        ("fraud.deny_scor", 1, Invalid, r"did you mean fraud\.deny_score"),
        ("fraud.deny_score", 101, Misconfigured, r"fraud\.deny_score: .*100"),
        ("fraud.deny_score", "x", Misconfigured, "integer"),
        ("http.port", 1, Conflict, "http.port cannot change while ECAP runs: the listener"),
        ("stream.shards.fraud", 2, Conflict, "which shard owns which partition"),
        ("auth.admin_password", "hunter2-1", Invalid, "is a secret: store it"),
        ("auth.admin_password", "vault:a#b", Misconfigured, "nothing on the shelf"),
    ],
)
async def test_a_bad_value_is_refused_and_nothing_changes(
    cluster: Cluster, key: str, value: Any, error: type[Exception], message: str
) -> None:
    assert cluster.hub is not None
    with pytest.raises(error, match=message):
        await cluster.hub.edit(Edit({key: value}), author="ann", reason="bad")
    assert await cluster.agree() == 1
    assert (await kinds(cluster))[-1] == "refused"
    assert "hunter2" not in repr(await cluster.entries())
    assert await set_(cluster, fraud__deny_score=81) == 3


@on_cluster
async def test_if_version_guards_against_a_lost_update(cluster: Cluster) -> None:
    assert cluster.hub is not None
    with pytest.raises(PreconditionFailed):
        await cluster.hub.edit(edit(log__level="DEBUG"), author="a", reason="", if_version=7)
    await cluster.hub.edit(edit(log__level="DEBUG"), author="a", reason="", if_version=1)


@on_cluster
async def test_what_only_a_restart_changes_is_refused_from_a_file_too(cluster: Cluster) -> None:
    assert cluster.hub is not None
    with pytest.raises(Conflict, match=r"http.port"):
        await cluster.hub.offer({"base": layer("base", http__port=9000)}, reason="saved")
    assert await cluster.agree() == 1
    cluster.given = {"base": layer("base", http__port=9000)}
    await cluster.kill_hub()
    cluster.boot_id = "boot-2"
    await cluster.start_hub()
    await asyncio.sleep(10)
    await cluster.agree()
    assert cluster.members["a"].settings.http.port == 9000


@on_cluster
async def test_subscribers_hear_real_differences_only(cluster: Cluster) -> None:
    heard: list[tuple[str, Any, Any]] = []

    async def fraud(old: Fraud, new: Fraud) -> None:
        heard.append(("fraud", old.deny_score, new.deny_score))

    async def score(old: int, new: int) -> None:
        heard.append(("score", old, new))

    async def flag(old: bool | None, new: bool | None) -> None:
        heard.append(("flag", old, new))

    async def log(old: Log, new: Log) -> None:
        heard.append(("log", old.level, new.level))

    a = cluster.members["a"]
    a.subscribe("fraud", Fraud, fraud)
    a.subscribe("fraud.deny_score", int, score)
    end = a.subscribe("log", Log, log, check=lambda new: None)
    a.subscribe_entry("flags.checkout", bool, flag)
    await set_(cluster, fraud__deny_score=90, limits__enabled=True)
    assert sorted(heard) == [("fraud", 80, 90), ("score", 80, 90)]
    heard.clear()
    await set_(cluster, fraud__deny_score=90)
    assert heard == []
    await set_(cluster, flags__checkout=True)
    assert cluster.hub is not None
    await cluster.hub.edit(Edit(unsets=("flags.checkout",)), author="ann", reason="")
    assert heard == [("flag", None, True), ("flag", True, None)]
    heard.clear()
    assert "log" in a.report().prefixes
    assert a.report().checks == ("log",)
    end()
    assert "log" not in a.report().prefixes
    assert a.report().checks == ()
    await set_(cluster, log__level="DEBUG")
    assert heard == []


@on_cluster
async def test_what_a_secret_store_holds_is_no_reference(cluster: Cluster) -> None:
    """Whoever may write a secret cannot make it point elsewhere."""
    assert cluster.hub is not None
    cluster.secrets.values["vault:a#b"] = "another"
    written = Given("vault:a#b", "kubernetes:mail", final=True)
    offered = Layer("kubernetes", {"smtp.password": written})
    await cluster.hub.offer({"kubernetes": offered}, reason="a Secret")
    await cluster.agree()
    password = cluster.members["a"].settings.smtp.password
    assert password is not None
    assert password.get_secret_value() == "vault:a#b"


@on_cluster
async def test_what_does_not_exist_cannot_be_subscribed_to(cluster: Cluster) -> None:
    async def never(old: Any, new: Any) -> None:
        raise AssertionError

    a = cluster.members["a"]
    for prefix, kind in (("fraudd", Fraud), ("fraud", Limits), ("log.level", int)):
        with pytest.raises(Misconfigured):
            a.subscribe(prefix, kind, never)


@on_cluster
async def test_versions_come_in_order_and_one_at_a_time(cluster: Cluster) -> None:
    running = 0
    seen: list[tuple[int, int]] = []

    async def slow(old: int, new: int) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.5)
        seen.append((old, new))
        running -= 1

    cluster.members["b"].subscribe("fraud.deny_score", int, slow)
    await asyncio.gather(*(set_(cluster, fraud__deny_score=81 + n) for n in range(5)))
    assert seen == [(80 + n, 81 + n) for n in range(5)]


@on_cluster
async def test_a_check_that_refuses_stops_the_change_before_anybody_runs_it(
    cluster: Cluster,
) -> None:
    changed: list[int] = []

    async def on_change(old: int, new: int) -> None:
        changed.append(new)

    async def at_most_85(new: int) -> None:
        if new > 85:
            raise ValueError("too strict for my model")

    cluster.members["a"].subscribe("fraud.deny_score", int, on_change)
    cluster.members["b"].subscribe("fraud.deny_score", int, on_change, check=at_most_85)
    await cluster.heard()
    with pytest.raises(Conflict, match=r"b refused: fraud.deny_score: .*too strict for my model"):
        await set_(cluster, fraud__deny_score=90)
    assert changed == []
    await set_(cluster, fraud__deny_score=85)
    assert changed == [85, 85]


@on_cluster
async def test_only_who_can_refuse_is_asked(cluster: Cluster) -> None:
    asked: list[str] = []

    async def check(new: Fraud) -> None:
        asked.append("b")
        await asyncio.sleep(3600)

    cluster.members["b"].subscribe("fraud", Fraud, _nothing, check=check, timeout_s=8.0)
    await cluster.heard()
    started, appends = clock(), cluster.history.appends
    await set_(cluster, log__level="DEBUG", limits__enabled=True)
    assert clock() == started
    # Proposed and applied in one go, then settled.
    assert cluster.history.appends == appends + 2
    assert (await kinds(cluster))[1:] == ["proposed", "applied", "settled"]
    with pytest.raises(Conflict, match=r"b refused: fraud: .* longer than 8 s"):
        await set_(cluster, fraud__deny_score=90)
    assert asked == ["b"]


@on_cluster
async def test_a_check_that_the_hub_has_not_heard_of_refuses_all_the_same(
    cluster: Cluster,
) -> None:
    changed: list[tuple[int, int]] = []

    async def on_change(old: int, new: int) -> None:
        changed.append((old, new))

    def refuse(new: int) -> None:
        if new == 90:
            raise ValueError("not for me")

    cluster.members["b"].subscribe("fraud.deny_score", int, on_change, check=refuse)
    with pytest.raises(Conflict, match=r"undone: b refused: fraud.deny_score: .*not for me"):
        await set_(cluster, fraud__deny_score=90)
    assert await cluster.agree() == 3
    assert changed == []


@on_cluster
@pytest.mark.parametrize("late", [False, True])
async def test_a_member_of_another_release_is_asked_and_gets_everything(
    cluster: Cluster, late: bool
) -> None:
    orders: list[Instruction] = []

    async def another(report: Report) -> Instruction:
        if report.member != "d":
            return await cluster.reach(report)
        order = await cluster.reach(msgspec.structs.replace(report, release="another"))
        orders.append(order)
        return order

    cluster.link = another
    if late:
        await set_(cluster, log__level="ERROR")
    await cluster.add("d").joined(timeout_s=5)
    orders.clear()
    await set_(cluster, log__level="DEBUG")
    await cluster.agree()
    told = [(order.kind, type(order.content)) for order in orders if order.kind != "nothing"]
    assert told == [("prepare", Snapshot), ("apply", type(None))]


@on_cluster
async def test_an_order_carries_what_the_member_lacks(cluster: Cluster) -> None:
    told: dict[str, list[Any]] = {}

    async def listening(report: Report) -> Instruction:
        order = await cluster.reach(report)
        if order.kind != "nothing":
            told.setdefault(report.member, []).append((order.kind, order.content))
        return order

    cluster.link = listening
    cluster.members["b"].subscribe("fraud.deny_score", int, _nothing, check=lambda new: None)
    await cluster.heard()
    await set_(cluster, fraud__deny_score=90)
    changes = Changes(1, 2, {"fraud.deny_score": 90})
    assert told == {
        "a": [("apply", changes)],
        "b": [("prepare", changes), ("apply", None)],
        "c": [("apply", changes)],
    }
    # Far behind, it gets everything.
    cluster.cut.add("c")
    await asyncio.sleep(12)
    for score in range(81, 87):
        await set_(cluster, fraud__deny_score=score)
    told.clear()
    cluster.cut.clear()
    await cluster.agree()
    assert [type(content) for _, content in told["c"]] == [Snapshot]


@on_cluster
async def test_a_member_that_lost_what_it_prepared_is_sent_it_again(cluster: Cluster) -> None:
    b = cluster.members["b"]
    b.subscribe("fraud.deny_score", int, _nothing, check=lambda new: None)
    lost: list[Instruction] = []

    async def losing(report: Report) -> Instruction:
        order = await cluster.reach(report)
        if order.kind == "apply" and order.content is None and not lost:
            lost.append(order)
            b._staged = None
        return order

    cluster.link = losing
    await cluster.heard()
    await set_(cluster, fraud__deny_score=90)
    assert len(lost) == 1
    assert await cluster.agree() == 2


@on_cluster
@pytest.mark.parametrize("way", ["raises", "hangs", "hangs and will not be cancelled"])
async def test_a_callback_that_refuses_undoes_the_change_everywhere(
    cluster: Cluster, way: str
) -> None:
    stuck = asyncio.Event()

    async def refuses(old: int, new: int) -> None:
        if new != 90:
            return
        if way == "raises":
            raise ValueError("no")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if way == "hangs":
                raise
            await stuck.wait()

    seen: list[int] = []

    async def sees(old: int, new: int) -> None:
        seen.append(new)

    cluster.members["b"].subscribe("fraud.deny_score", int, refuses)
    cluster.members["b"].subscribe("fraud", Fraud, lambda old, new: sees(0, new.deny_score))
    cluster.members["c"].subscribe("fraud.deny_score", int, sees)
    with pytest.raises(Conflict, match=r"undone: b refused: fraud.deny_score"):
        await set_(cluster, fraud__deny_score=90)
    assert await cluster.agree() == 3
    assert all(m.settings.fraud.deny_score == 80 for m in cluster.members.values())
    assert seen.count(90) == seen.count(80) >= 1
    assert (await kinds(cluster))[1:] == ["proposed", "applied", "rolled-back", "settled"]
    if way == "hangs and will not be cancelled":
        with pytest.raises(Conflict, match="still busy"):
            await set_(cluster, fraud__deny_score=70)
        stuck.set()
    assert await set_(cluster, fraud__deny_score=70)
    await cluster.agree()


@on_cluster
async def test_a_secret_in_a_refusal_is_not_shown(cluster: Cluster) -> None:
    cluster.secrets.values["vault:a#b"] = "hunter2-1234"

    async def refuses(old: Any, new: Any) -> None:
        raise ValueError(f"cannot log in with {new.get_secret_value()}")

    cluster.members["a"].subscribe("postgres", type(Settings().postgres), _nothing)
    cluster.members["a"].subscribe_entry("smtp.password", object, refuses)
    with pytest.raises(Conflict) as caught:
        await set_(cluster, smtp__password="vault:a#b")
    assert "hunter2" not in str(caught.value)
    assert "cannot log in with (secret)" in str(caught.value)
    assert "hunter2" not in repr(await cluster.entries())


@on_cluster
async def test_a_member_that_died_is_not_waited_for_longer_than_it_is_stale(
    cluster: Cluster,
) -> None:
    await cluster.kill("c")
    started = clock()
    await set_(cluster, fraud__deny_score=90)
    assert clock() - started < 12
    assert await cluster.agree() == 2


@on_cluster
async def test_a_member_that_dies_after_it_was_asked(cluster: Cluster) -> None:
    async def dies(new: int) -> None:
        cluster.cut.add("c")

    cluster.members["c"].subscribe("fraud.deny_score", int, _nothing, check=dies)
    await cluster.heard()
    await set_(cluster, fraud__deny_score=90)
    assert cluster.members["a"].settings.fraud.deny_score == 90
    assert cluster.members["c"].settings.fraud.deny_score == 80
    cluster.cut.clear()
    await cluster.agree()
    assert cluster.members["c"].settings.fraud.deny_score == 90


@on_cluster
async def test_a_member_that_missed_pushes_catches_up(cluster: Cluster) -> None:
    seen: list[tuple[int, int]] = []

    async def sees(old: int, new: int) -> None:
        seen.append((old, new))

    cluster.members["c"].subscribe("fraud.deny_score", int, sees)
    cluster.cut.add("c")
    await asyncio.sleep(12)
    assert cluster.members["c"].silence_s > 10
    await set_(cluster, fraud__deny_score=90)
    await set_(cluster, fraud__deny_score=91)
    cluster.cut.clear()
    await cluster.agree()
    assert seen == [(80, 91)]
    assert cluster.members["c"].silence_s < 3


@on_cluster
async def test_a_late_joiner_pulls_what_runs(cluster: Cluster) -> None:
    await set_(cluster, fraud__deny_score=90)
    late = cluster.add("d")
    await late.joined(timeout_s=5)
    assert late.settings.fraud.deny_score == 90


@on_cluster
async def test_one_that_cannot_go_along_later_is_seen_in_the_ledger(cluster: Cluster) -> None:
    cluster.cut.add("c")
    await asyncio.sleep(12)
    await set_(cluster, fraud__deny_score=90)

    tried = 0

    async def refuses(old: int, new: int) -> None:
        nonlocal tried
        tried += 1
        raise ValueError("not me")

    cluster.members["c"].subscribe("fraud.deny_score", int, refuses)
    cluster.cut.clear()
    await asyncio.sleep(10)
    assert cluster.hub is not None
    (member,) = [m for m in cluster.hub.ledger if m.name == "c"]
    assert member.failed is not None
    assert member.failed.refusal is not None
    assert "not me" in member.failed.refusal
    # Tried again each `hub.retry_s`, not in a loop.
    assert 8 <= tried <= 11
    assert member.reports < 40


@on_cluster
@pytest.mark.parametrize(
    ("deaf_to", "said"), [("prepare", "b does not answer"), ("apply", "undone: b does not take it")]
)
async def test_a_member_that_talks_but_does_nothing_stops_the_change(
    cluster: Cluster, deaf_to: str, said: str
) -> None:

    async def deaf(report: Report) -> Instruction:
        order = await cluster.reach(report)
        if report.member == "b" and order.kind == deaf_to and order.version == 2:
            await asyncio.sleep(0.5)
            return Instruction("nothing")
        return order

    cluster.link = deaf
    cluster.members["b"].subscribe("fraud.deny_score", int, _nothing, check=lambda new: None)
    await cluster.heard()
    started = clock()
    with pytest.raises(Conflict, match=said):
        await set_(cluster, fraud__deny_score=90)
    assert clock() - started == pytest.approx(6 * Settings().hub.stale_after_s, abs=1)
    await cluster.agree()
    assert cluster.members["a"].settings.fraud.deny_score == 80


@on_cluster
@pytest.mark.parametrize(
    "canary", [Canary(members=("b",), bake_s=30), Canary(share=0.3, bake_s=30)]
)
async def test_a_canary_runs_it_first(cluster: Cluster, canary: Canary) -> None:
    assert cluster.hub is not None
    change = asyncio.create_task(
        cluster.hub.edit(edit(fraud__deny_score=90), author="ann", reason="", canary=canary)
    )
    await asyncio.sleep(29)
    scores = sorted(m.settings.fraud.deny_score for m in cluster.members.values())
    assert scores == [80, 80, 90]
    await change
    await cluster.agree()
    assert await kinds(cluster) == ["booted", "proposed", "canary", "applied", "settled"]


@on_cluster
@pytest.mark.parametrize("why", ["unhealthy", "errors", "silent", "refuses"])
async def test_a_canary_that_is_not_well_undoes_it(cluster: Cluster, why: str) -> None:
    assert cluster.hub is not None
    state = {"health": Health()}
    d = cluster.add("d", health=lambda: state["health"])
    await d.joined(timeout_s=5)

    async def ill(old: int, new: int) -> None:
        if new == 90 and why == "refuses":
            raise ValueError("no")
        if why == "unhealthy":
            state["health"] = Health(ok=new != 90)
        if why == "errors":
            state["health"] = Health(error_ratio=0.5 if new == 90 else 0.0, requests=100)

    d.subscribe("fraud.deny_score", int, ill)
    seen: list[int] = []

    async def sees(old: int, new: int) -> None:
        seen.append(new)

    cluster.members["a"].subscribe("fraud.deny_score", int, sees)
    change = asyncio.create_task(
        cluster.hub.edit(
            edit(fraud__deny_score=90),
            author="ann",
            reason="",
            canary=Canary(members=("d",), bake_s=60),
        )
    )
    if why == "silent":
        await asyncio.sleep(1)
        cluster.cut.add("d")
    with pytest.raises(Conflict, match="undone after the canary: d"):
        await change
    cluster.cut.clear()
    await cluster.agree()
    assert seen == []
    assert all(m.settings.fraud.deny_score == 80 for m in cluster.members.values())


@on_cluster
async def test_rolling_back_restores_the_overrides_of_a_version(cluster: Cluster) -> None:
    hub = cluster.hub
    assert hub is not None
    cluster.secrets.values["vault:a#b"] = "hunter2-5678"
    await set_(cluster, fraud__deny_score=90, smtp__password="vault:a#b")
    then = dict(hub.accepted().overrides)
    await set_(cluster, fraud__deny_score=70, flags__checkout=True)
    await hub.offer({"base": layer("base", orders__max_lines=7)}, reason="saved")
    await hub.edit(Edit(unsets=("smtp.password",)), author="ann", reason="")
    outcome = await hub.roll_back(2, author="ann", reason="it was better")
    await cluster.agree()
    assert hub.accepted().overrides == then
    assert outcome.skipped == ()
    assert hub.accepted().settings.orders.max_lines == 7
    await hub.offer({"base": layer("base", orders__max_lines=8)}, reason="saved")
    assert hub.accepted().settings.orders.max_lines == 8
    with pytest.raises(NotFound):
        await hub.roll_back(99, author="ann", reason="")
    assert "hunter2" not in repr(await cluster.entries())


@on_cluster
async def test_rolling_back_makes_nothing_permanent(cluster: Cluster) -> None:
    """A discount for an hour was pinned for ever."""
    hub = cluster.hub
    assert hub is not None
    for ends, key in ((1, "orders.max_lines"), (5, "orders.max_quantity")):
        end = Edit({key: 7}, expires_at=clock() + ends * 600)
        await hub.edit(end, author="ann", reason="for some time")
    version = hub.accepted().version
    before = dict(hub.accepted().overrides)
    await hub.edit(Edit(unsets=("orders.max_lines",)), author="ann", reason="")
    await hub.roll_back(version, author="bob", reason="back")
    assert hub.accepted().overrides == before
    await asyncio.sleep(1200)
    await cluster.agree()
    assert hub.accepted().settings.orders.max_lines == 50
    assert hub.accepted().settings.orders.max_quantity == 7
    await hub.roll_back(version, author="bob", reason="back, though it has ended")
    assert hub.accepted().overrides.keys() == {"orders.max_quantity"}
    await asyncio.sleep(2000)
    await cluster.agree()
    assert hub.accepted().overrides == {}


@on_cluster
async def test_a_source_that_says_the_same_makes_no_version(cluster: Cluster) -> None:
    assert cluster.hub is not None
    outcome = await cluster.hub.offer(
        {"base": layer("base", fraud__deny_score=80)}, reason="a comment"
    )
    assert outcome.version == 1
    assert cluster.hub.accepted().found["fraud.deny_score"].source == "base"
    assert await kinds(cluster) == ["booted"]


@on_cluster
async def test_a_source_away_leaves_the_change_to_be_offered_again(cluster: Cluster) -> None:
    assert cluster.hub is not None
    cluster.secrets.away = True
    offer: dict[Source, Layer] = {"base": layer("base", smtp__password="vault:a#b")}
    with pytest.raises(Unavailable):
        await cluster.hub.offer(offer, reason="saved")
    cluster.secrets.away = False
    cluster.secrets.values["vault:a#b"] = "x"
    assert (await cluster.hub.offer(offer, reason="saved")).version == 2


@on_cluster
async def test_a_second_hub_fences_the_first(cluster: Cluster) -> None:
    first = cluster.hub
    assert first is not None
    await cluster.start_hub()
    await set_(cluster, fraud__deny_score=90)
    with pytest.raises((Exception,), match="another hub"):
        await first.edit(edit(fraud__deny_score=91), author="zombie", reason="")


@on_cluster
async def test_a_refused_secret_does_not_come_back_with_the_next_change(cluster: Cluster) -> None:
    cluster.secrets.values["vault:a#b"] = "good"
    await set_(cluster, smtp__password="vault:a#b")

    async def only_good(old: Any, new: Any) -> None:
        if new.get_secret_value() != "good":
            raise ValueError("cannot log in")

    cluster.members["a"].subscribe_entry("smtp.password", object, only_good)
    cluster.secrets.values["vault:a#b"] = "bad"
    assert cluster.hub is not None
    with pytest.raises(Conflict, match="cannot log in"):
        await cluster.hub.offer({}, reason="the secret changed")
    await set_(cluster, fraud__deny_score=90)
    await cluster.kill_hub()
    await cluster.start_hub()
    await asyncio.sleep(5)
    await set_(cluster, fraud__deny_score=91)
    await cluster.agree()
    password = cluster.members["b"].settings.smtp.password
    assert password is not None
    assert password.get_secret_value() == "good"


@on_cluster
async def test_the_ledger_says_who_runs_what(cluster: Cluster) -> None:
    async def refuses(old: int, new: int) -> None:
        raise ValueError("not me")

    assert cluster.hub is not None
    cluster.cut.update("bc")
    await asyncio.sleep(12)
    await set_(cluster, fraud__deny_score=90)
    cluster.members["b"].subscribe("fraud.deny_score", int, refuses)
    cluster.cut.discard("b")
    await asyncio.sleep(5)
    rows = {row["member"]: row for row in cluster.hub.standing()}
    states = {name: (row["state"], row["running"]) for name, row in rows.items()}
    assert states == {"a": ("current", 2), "b": ("refused", 1), "c": ("silent", 1)}
    assert rows["b"]["prefixes"] == ["fraud.deny_score"]
    assert "not me" in rows["b"]["refusal"]


@on_cluster
async def test_an_override_ends_where_the_hub_cannot_write(cluster: Cluster) -> None:
    assert cluster.hub is not None
    a = cluster.members["a"]
    for key, value, ends_s in (("fraud.deny_score", 90, 40), ("fraud.review_score", 70, 60)):
        later = Edit({key: value}, expires_at=clock() + ends_s)
        await cluster.hub.edit(later, author="ann", reason="for a while")
    await asyncio.sleep(20)
    told: list[int] = []
    a.subscribe("fraud.deny_score", int, lambda old, new: told.append(new))
    await cluster.kill_hub()
    await asyncio.sleep(19)
    assert (a.settings.fraud.deny_score, a.settings.fraud.review_score) == (90, 70)
    await asyncio.sleep(2)
    assert (a.settings.fraud.deny_score, a.settings.fraud.review_score) == (80, 70)
    await asyncio.sleep(20)
    assert (a.settings.fraud.deny_score, a.settings.fraud.review_score) == (80, 50)
    assert told == [80]
    before = await cluster.entries()
    # What comes later is told as a difference from what was decided, not from what runs.
    await cluster.start_hub()
    await asyncio.sleep(20)
    await set_(cluster, fraud__velocity_count=9)
    await cluster.agree()
    assert a.settings.fraud == Fraud(velocity_count=9)
    entries = await cluster.entries()
    assert entries[: len(before)] == before
    assert told == [80]


@on_cluster
async def test_who_joins_after_the_end_of_an_override_does_not_run_it(cluster: Cluster) -> None:
    assert cluster.hub is not None
    later = Edit({"fraud.deny_score": 90}, expires_at=clock() + 20)
    await cluster.hub.edit(later, author="ann", reason="for a while")

    class Full:
        """A database that takes no more."""

        async def append(self, *args: Any, **more: Any) -> Any:
            raise Unavailable("the disk is full")

        def __getattr__(self, name: str) -> Any:
            return getattr(history, name)

    history = cluster.history.history
    cluster.history.history = Full()
    await asyncio.sleep(21)
    late = cluster.add("late")
    await late.joined(timeout_s=30)
    scores = {one.settings.fraud.deny_score for one in cluster.members.values()}
    assert scores == {80}
    assert {one.version for one in cluster.members.values()} == {2}
    cluster.history.history = history
    await asyncio.sleep(30)
    assert await cluster.agree() == 3


def test_a_start_ends_what_has_expired_and_ignores_overrides_where_asked() -> None:
    async def main() -> None:
        cluster = Cluster()
        hub = await cluster.start_hub()
        a = cluster.add("a")
        await a.joined(timeout_s=30)
        for key, value, expires_at in (
            ("fraud.deny_score", 90, clock() + 10),
            ("fraud.review_score", 40, None),
        ):
            edit = Edit({key: value}, expires_at=expires_at)
            await hub.edit(edit, author="ann", reason="for a while")
        await cluster.kill_hub()
        await asyncio.sleep(20)
        cluster.boot_id = "boot-2"
        hub = await cluster.start_hub()
        await hub.started()
        assert hub.accepted().overrides.keys() == {"fraud.review_score"}
        await cluster.kill_hub()
        cluster.boot_id = "boot-3"
        cluster.ignore_overrides = True
        hub = await cluster.start_hub()
        await hub.started()
        assert hub.accepted().overrides == {}
        booted = (await cluster.entries())[-1]
        assert booted.body["ignored"] == ["fraud.review_score"]
        assert "without the overrides fraud.review_score" in booted.body["why"]
        verify(await cluster.entries())
        # The same cluster goes on: what is set from now on counts.
        await hub.edit(Edit({"fraud.review_score": 30}), author="ann", reason="again")
        await cluster.kill_hub()
        hub = await cluster.start_hub()
        await hub.started()
        assert hub.accepted().settings.fraud.review_score == 30
        await cluster.stop()

    run(main())


def test_a_start_drops_no_more_than_what_does_not_fit() -> None:
    async def main() -> None:
        cluster = Cluster()
        cluster.secrets.values["vault:a#b"] = "hunter2"
        cluster.given = {"vault": layer("vault", fraud__deny_score=85)}
        hub = await cluster.start_hub()
        for key, value in (("fraud.review_score", 40), ("smtp.password", "vault:a#b")):
            await hub.edit(Edit({key: value}), author="ann", reason="t")
        await cluster.kill_hub()
        # The secret is gone, and what Vault says is nonsense.
        cluster.secrets.values.clear()
        cluster.given = {"vault": layer("vault", fraud__deny_score="nonsense")}
        cluster.boot_id = "boot-2"
        hub = await cluster.start_hub()
        await hub.started()
        found = hub.accepted()
        assert found.overrides.keys() == {"fraud.review_score"}
        assert (found.settings.fraud.review_score, found.settings.fraud.deny_score) == (40, 85)
        assert (await cluster.entries())[-1].body["dropped"] == ["smtp.password"]
        await cluster.stop()

    run(main())


@on_cluster
async def test_a_dry_run_asks_everybody_and_changes_nothing(cluster: Cluster) -> None:
    hub = cluster.hub
    assert hub is not None
    asked: list[Any] = []

    async def never(new: Any) -> None:
        asked.append(new.deny_score)
        if new.deny_score == 90:
            raise Invalid("too high for me")

    cluster.members["a"].subscribe("fraud", Fraud, _nothing, check=never)
    await cluster.heard()
    before = hub.accepted()
    with pytest.raises(Conflict, match=r"a refused: .*too high for me"):
        await hub.edit(edit(fraud__deny_score=90), author="ann", reason="may I", dry_run=True)
    outcome = await hub.edit(edit(fraud__deny_score=85), author="ann", reason="", dry_run=True)
    assert (outcome.version, outcome.changed) == (before.version, ("fraud.deny_score",))
    assert hub.accepted() is before
    assert asked == [90, 85]
    # What members had prepared for the dry run is not what they run next.
    await set_(cluster, fraud__deny_score=70)
    assert {m.settings.fraud.deny_score for m in cluster.members.values()} == {70}
    assert asked == [90, 85, 70]


@on_cluster
async def test_several_settings_change_together_or_not_at_all(cluster: Cluster) -> None:
    hub = cluster.hub
    assert hub is not None
    before = hub.accepted()
    with pytest.raises(Misconfigured, match=r"http: .*request_timeout_s is above"):
        await set_(cluster, http__request_timeout_s=90)
    with pytest.raises(EcapError):
        await set_(cluster, orders__max_lines=7, orders__max_quantity=-1)
    assert hub.accepted() is before
    await set_(cluster, http__request_timeout_s=90, http__max_request_timeout_s=120)
    assert hub.accepted().settings.http.request_timeout_s == 90


async def test_a_dry_run_is_not_taken_up_by_the_next_hub() -> None:
    proposed = Entry(
        1, 2, "proposed", 0.0, "ann", "", {"edit": {}, "canary": None, "dry_run": True}, "", ""
    )
    assert proposals.again(proposed) is None
