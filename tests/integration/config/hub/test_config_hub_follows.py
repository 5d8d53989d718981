"""The hub's process is a member: what it decides holds for itself too."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from integration.config.hub.hub_actor import started, well

from ecap import logs
from ecap.clients.postgres import Pool
from ecap.config.hub.requests import Change
from ecap.config.layers.overrides import Edit
from ecap.config.secrets.keyring.stores import FileKeyring


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    before = logging.getLogger("ecap").level
    yield
    logs.set_level(logging.getLevelName(before))


async def test_its_files_its_pool_and_its_level(
    hub_environ: dict[str, str],
    ring: FileKeyring,
    empty: Pool,
) -> None:
    values = {
        "hub.file_poll_s": 0.7,
        "hub.debounce_s": 0.07,
        "hub.file_settle_s": 0.8,
        "postgres.statement_timeout_s": 9.0,
        "log.level": "ERROR",
    }
    async with started(hub_environ) as hub:
        await well(hub)
        opened = hub._open()
        pool = opened.pool._opened
        wish = Change(edit=Edit(dict(values)), author="ann", reason="a test", sections=("",))
        done = await hub.handle("change", wish, {})
        assert sorted(done["changed"]) == sorted(values)
        files = opened.origins.files
        assert (files._poll_s, files._debounce_s, files._settle_s) == (0.7, 0.07, 0.8)
        assert opened.pool._opened is not pool
        assert logging.getLogger("ecap").level == logging.ERROR
        # The history is written through the new pool.
        page = await hub.handle("history", {"limit": 1, "before": None}, {})
        assert len(page["entries"]) == 1
