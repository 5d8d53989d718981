"""The hub's actor on a real PostgreSQL: what it opens, and what it says while it cannot."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from integration.config.hub.hub_actor import KEY, change, member, started, well
from integration.config.waiting import until

from ecap.clients.config_history import PostgresHistory
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.config.hub.history import Event
from ecap.config.hub.requests import Change, Return
from ecap.config.layers.overrides import Edit
from ecap.config.protocol import Report
from ecap.config.rollout.canary import Canary
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import FileKeyring, Plain
from ecap.domain.events.audit import AuditEntry
from ecap.domain.events.codec import decode
from ecap.errors import Conflict, Fenced, Invalid, NotFound, Unavailable


async def test_operators_and_members(
    hub_environ: dict[str, str], ring: FileKeyring, empty: Pool, settings: Settings
) -> None:
    async with started(hub_environ) as hub:
        await well(hub)
        assert hub.health()["sources"].keys() >= {"files", "environment", "vault"}
        async with member(hub, settings) as one:
            done = await hub.handle("change", change(9, version=1), {})
            assert done == {"version": 2, "changed": [KEY], "behind": [], "skipped": []}
            assert one.settings.orders.max_lines == 9

            with pytest.raises(Invalid, match=KEY) as refused:
                await hub.handle("change", change(0), {})
            assert refused.value.facts["field"] == KEY
            assert not refused.value.detail.startswith("set by")
            with pytest.raises(NotFound, match="did you mean"):
                await hub.handle(
                    "change",
                    Change(edit=Edit({KEY + "s": 1}), author="ann", reason="x", sections=("",)),
                    {},
                )
            with pytest.raises(Invalid, match="no such member"):
                await hub.handle("change", change(8, canary=Canary(members=("who",))), {})

            judged = await hub.handle("validate", Edit({KEY: 12}), {})
            assert judged["changes"] == {KEY: {"from": 9, "to": 12}}
            judged = await hub.handle("validate", Edit({"http.port": 1}), {})
            assert "cannot change" in judged["problem"]
            assert one.settings.orders.max_lines == 9

            found = await hub.handle("members", None, {})
            ledger = {m["member"]: (m["running"], m["state"]) for m in found["members"]}
            assert ledger == {"m": (2, "current"), "config": (2, "current")}  # itself too
            await hub.handle(
                "roll_back", Return(to=1, author="bob", reason="back", sections=("",)), {}
            )
            assert one.settings.orders.max_lines == settings.orders.max_lines
            found = await hub.handle("diff", (1, 2), {})
            assert found["changes"] == {KEY: {"from": settings.orders.max_lines, "to": 9}}
            with pytest.raises(NotFound):
                await hub.handle("diff", (1, 77), {})


async def test_the_history_is_read_in_pages(
    hub_environ: dict[str, str], ring: FileKeyring, empty: Pool
) -> None:
    async with started(hub_environ) as hub:
        await well(hub)
        for value in range(1, 4):
            await hub.handle("change", change(value), {})
        seen: list[int] = []
        before = None
        while True:
            page = await hub.handle("history", {"limit": 4, "before": before}, {})
            seen += [entry["seq"] for entry in page["entries"]]
            before = page["next"]
            if before is None:
                break
        assert seen == list(range(len(seen), 0, -1))
        assert len(seen) == 1 + 3 * 3


async def test_without_a_keyring_it_says_so_and_opens_when_there_is_one(
    hub_environ: dict[str, str], tmp_path: Path, empty: Pool
) -> None:
    async with started(hub_environ) as hub:
        await until(lambda: "no keyring at" in str(hub.health()["trouble"]))
        assert hub.health()["alive"]
        with pytest.raises(Unavailable, match="no keyring at"):
            await hub.handle("members", None, {})
        FileKeyring(tmp_path / "ring", Plain()).save(Keyring([new_key(now=0)]), revision=None)
        await well(hub)


async def test_a_source_that_is_none_is_named(hub_environ: dict[str, str], empty: Pool) -> None:
    async with started({**hub_environ, "ECAP__KEYRING__SOURCE": "none"}) as hub:
        await until(lambda: "set keyring.source" in str(hub.health()["trouble"]))


async def test_it_opens_again_and_nothing_is_lost(
    hub_environ: dict[str, str], ring: FileKeyring, empty: Pool, settings: Settings
) -> None:
    async with started(hub_environ) as hub:
        await well(hub)
        async with member(hub, settings) as one:
            await hub.handle("change", change(7), {})
            # As when the server ends every session: its own pool fails under it.
            query = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                       WHERE application_name = 'ecap-config'"""
            await empty.fetchval(query)

            async def changed() -> bool:
                try:
                    await hub.handle("change", change(6), {})
                except Unavailable:
                    return False
                return True

            await until(changed)
            assert one.settings.orders.max_lines == 6
    async with started(hub_environ) as hub:
        await well(hub)
        assert (await hub.handle("setting", KEY, {}))["setting"]["value"] == 6
    assert [entry.kind for entry in await PostgresHistory(empty).entries()].count("booted") == 1


async def test_a_second_hub_ends_the_first(
    hub_environ: dict[str, str], ring: FileKeyring, empty: Pool
) -> None:
    async with started(hub_environ) as hub:
        await well(hub)
        report = Report("m", "one", "test", running=1)
        waiting = asyncio.create_task(hub.handle("exchange", report, {}), name="waiting")

        async def held() -> bool:
            found = await hub.handle("members", None, {})
            return any(one["member"] == "m" for one in found["members"])

        await until(held)
        history = PostgresHistory(empty)
        intruder = Event(1, "settled", time.time(), "another hub", "", {"members": {}})
        await history.append([intruder], after=await history.last(), state=None)
        with pytest.raises(Fenced):
            await hub.handle("change", change(5), {})
        await until(lambda: not hub.health()["alive"])
        with pytest.raises(Unavailable, match="was lost"):
            await waiting
        with pytest.raises(Unavailable):
            await hub.handle("members", None, {})


async def test_a_rotated_keyring_is_used_from_then_on(
    hub_environ: dict[str, str], ring: FileKeyring, empty: Pool
) -> None:
    async with started(hub_environ) as hub:
        await well(hub)
        stored = ring.load()
        added = stored.ring.add(now=time.time())
        rotated = added.promote(added.keys[-1].id)
        ring.save(rotated, revision=stored.revision)
        only_new = Keyring(rotated.keys[:1])

        async def sealed_anew() -> bool:
            value = 30 + int(time.monotonic() * 100) % 60
            try:
                done = await hub.handle("change", change(value), {})
            except Conflict:
                return False
            token = await PostgresHistory(empty).state(done["version"])
            assert token is not None
            return only_new.is_current(token)

        await until(sealed_anew)


async def test_what_nobody_asks_is_refused(hub_environ: dict[str, str], empty: Pool) -> None:
    async with started(hub_environ) as hub:
        with pytest.raises(NotFound):
            await hub.handle("make_tea", None, {})


async def test_the_keyring_and_the_members_are_shown(
    hub_environ: dict[str, str], ring: FileKeyring, empty: Pool
) -> None:
    async with started({**hub_environ, "ECAP__KEYRING__MAX_AGE_S": "60"}) as hub:
        await well(hub)
        await until(lambda: hub.health().get("members") == 1)  # itself
        shown = (await hub.handle("sources", None, {}))["keyring"]
        found = ring.load().ring
        assert (shown["primary"], shown["too_old"]) == (found.primary.id, False)
        old = Keyring([new_key(now=time.time() - 61)])
        ring.save(old, revision=ring.load().revision)

        async def too_old() -> bool:
            return bool((await hub.handle("sources", None, {}))["keyring"]["too_old"])

        await until(too_old)
        assert found.primary.material not in str(await hub.handle("sources", None, {}))


async def test_nobody_is_told_what_a_store_holds(
    hub_environ: dict[str, str], ring: FileKeyring, empty: Pool, tmp_path: Path
) -> None:
    """It answered the administrator's password to whoever may read settings."""
    (tmp_path / "pw").write_text("canary-1234")
    environ = {**hub_environ, "ECAP__SECRETS__FOLDERS": f"[secrets, {tmp_path}]"}
    async with started(environ) as hub:
        await well(hub)
        for reference in (f"file:{tmp_path}/pw", "vault:ecap/auth#admin_password", "enc:x"):
            judged = await hub.handle("validate", Edit({"smtp.host": reference}), {})
            assert "smtp.host is no secret, so it takes no reference" in judged["problem"]
            with pytest.raises(Invalid, match=r"smtp\.host is no secret"):
                await hub.handle("change", change(reference, key="smtp.host"), {})
        wish = change(f"file:{tmp_path}/pw", key="smtp.password")
        assert (await hub.handle("change", wish, {}))["changed"] == ["smtp.password"]
        with pytest.raises(Invalid, match=r"not below secrets\.folders"):
            await hub.handle("change", change("file:/etc/passwd", key="smtp.password"), {})
        told = [
            await hub.handle("settings", "", {}),
            await hub.handle("history", {"limit": 50, "before": None}, {}),
        ]
        assert "canary" not in repr(told)


async def test_several_settings_are_one_change_and_may_be_tried(
    hub_environ: dict[str, str], ring: FileKeyring, empty: Pool
) -> None:
    async with started(hub_environ) as hub:
        await well(hub)
        edit = Edit({KEY: 9, "orders.max_quantity": 8})
        wish = Change(edit=edit, author="ann", reason="a test", dry_run=True, sections=("",))
        tried = await hub.handle("change", wish, {})
        assert (tried["version"], tried["changed"]) == (1, [KEY, "orders.max_quantity"])
        done = await hub.handle(
            "change", Change(edit=edit, author="ann", reason="so", sections=("",)), {}
        )
        assert done["changed"] == [KEY, "orders.max_quantity"]
        half = Edit({KEY: 10, "orders.max_quantity": -1})
        with pytest.raises(Invalid, match=r"orders\.max_quantity") as caught:
            await hub.handle(
                "change", Change(edit=half, author="ann", reason="no", sections=("",)), {}
            )
        assert caught.value.facts["field"] == "orders.max_quantity"
        found = await hub.handle("setting", KEY, {})
        assert found["setting"]["value"] == 9


async def test_the_security_log_hears_by_which_request(
    hub_environ: dict[str, str], ring: FileKeyring, empty: Pool
) -> None:
    await empty.execute("DELETE FROM config.outbox")
    origin = {"kind": "user", "address": "192.0.2.1", "request_id": "r"}
    async with started(hub_environ) as hub:
        await well(hub)
        for value, canary in ((9, None), (8, Canary(members=("who",)))):
            wish = Change(
                edit=Edit({KEY: value}),
                author="ann",
                reason="x",
                canary=canary,
                sections=("",),
                origin=origin,
            )
            if canary is None:
                await hub.handle("change", wish, {})
            else:
                with pytest.raises(Invalid):
                    await hub.handle("change", wish, {})
        back = Return(to=1, author="bob", reason="back", sections=("",), origin=origin)
        await hub.handle("roll_back", back, {})
    rows = await empty.fetch("SELECT body FROM config.outbox ORDER BY seq")
    found = [decode(bytes(row["body"])).payload for row in rows]
    entries = [entry for entry in found if isinstance(entry, AuditEntry)]
    assert [(e.action, e.outcome, e.actor, e.request_id) for e in entries] == [
        ("config.booted", "done", "hub", ""),
        ("config.changed", "done", "ann", "r"),
        ("config.changed", "refused", "ann", "r"),
        ("config.changed", "done", "bob", "r"),
    ]
    assert [entry.subject for entry in entries] == ["", KEY, KEY, KEY]
    assert {entry.address for entry in entries[1:]} == {"192.0.2.1"}
