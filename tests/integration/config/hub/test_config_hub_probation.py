"""A value that hurts, on a real PostgreSQL: the hub that brought it takes it back, or the next."""

from __future__ import annotations

import asyncio
import time

import pytest
from integration.config.hub.hub_actor import Wire, change, started, well
from integration.config.waiting import until

from ecap.actors.hub_link import HubConnection
from ecap.clients.config_history import PostgresHistory
from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings
from ecap.config.hub.history import verify
from ecap.config.member.follows import Follow, follow
from ecap.config.member.member import Member
from ecap.config.member.probation import Vitals
from ecap.config.protocol import Instruction, Report
from ecap.config.secrets.keyring.stores import FileKeyring
from ecap.config.settings.connections.postgres import Postgres
from ecap.errors import EcapError, Unavailable

KEY = "postgres.statement_timeout_s"


class Switchable:
    """The way to the hub there is at the moment."""

    def __init__(self) -> None:
        self.to: HubConnection | None = None

    async def exchange(self, report: Report) -> Instruction:
        if self.to is None:
            raise Unavailable("no hub")
        return await self.to.exchange(report)

    async def leave(self, member: str, incarnation: str) -> None:
        pass


@pytest.mark.parametrize("dies", [False, True])
async def test_what_a_pool_cannot_bear_is_undone(
    hub_environ: dict[str, str], ring: FileKeyring, empty: Pool, settings: Settings, dies: bool
) -> None:
    link = Switchable()
    async with open_pool(settings.postgres, service="patient") as pool:

        async def troubles() -> dict[str, str]:
            # A replica whose usual statement takes a second.
            try:
                await pool.fetchval("SELECT pg_sleep(1)")
            except EcapError as exc:
                return {"postgres": exc.detail}
            return {}

        one = Member(
            "patient",
            kind="test",
            settings=settings,
            link=link,
            clock=time.monotonic,
            vitals=Vitals(troubles),
        )
        follow(one, (Follow("postgres", Postgres, pool.reconfigure),))
        running = asyncio.create_task(one.run(), name="patient")
        try:
            async with started(hub_environ) as hub:
                await well(hub)
                link.to = HubConnection(Wire(hub), hold_s=2.0)
                await one.joined(timeout_s=30)
                done = await hub.handle("change", change(0.5, key=KEY), {})
                assert done["behind"] == []
                bad = done["version"]
                # Its own pool keeps the patience that it needs.
                assert hub._open().pool._settings.statement_timeout_s == 5.0
                if not dies:
                    await until(lambda: one.version > bad)
            if dies:
                link.to = None
                await until(lambda: one.version < bad)
                assert one.settings.postgres.statement_timeout_s != 0.5
                async with started(hub_environ) as hub:
                    await well(hub)
                    link.to = HubConnection(Wire(hub), hold_s=2.0)
                    await until(lambda: one.version > bad)
        finally:
            running.cancel()
            await asyncio.wait({running})
    assert one.settings.postgres == settings.postgres
    entries = list(await PostgresHistory(empty).entries())
    verify(entries)
    (undone,) = [entry for entry in entries if entry.kind == "rolled-back"]
    assert undone.body["undoes"] == bad
    assert undone.reason == "patient: undone by itself: postgres: postgres: statement timeout"
