"""Who may change which settings, over HTTP and the hub's actor."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from integration.config.config_tables import emptied
from integration.config.hub.hub_actor import Wire, started, well
from integration.serve.serving import bearer

from ecap.actors.hub_link import CONFIG
from ecap.clients.postgres import Pool
from ecap.config.hub.requests import Change
from ecap.config.layers.overrides import Edit
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import FileKeyring, Plain
from ecap.errors import Forbidden
from ecap.local.state.runtime import Runtime
from ecap.mesh import CallPolicy, MeshClient
from ecap.serve.gateway.config.desk import HubDesk
from ecap.serve.gateway.config.routes import api

Replica = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
URL = "/api/v1/config"


@pytest.fixture
async def hub(servers: Runtime, pool: Pool, tmp_path: Path) -> AsyncIterator[Any]:
    await emptied(pool)
    keyring = tmp_path / "ring"
    FileKeyring(keyring, Plain()).save(Keyring([new_key(now=time.time())]), revision=None)
    environ = {
        **servers.environ,
        "ECAP__KEYRING__SOURCE": "file",
        "ECAP__KEYRING__FILE": str(keyring),
    }
    async with started(environ) as hub:
        await well(hub)
        yield hub


@pytest.fixture
async def config(hub: Any, replica: Replica) -> AsyncIterator[httpx.AsyncClient]:
    @asynccontextmanager
    async def opened(process: Any) -> AsyncIterator[Any]:
        client = MeshClient(CONFIG, Wire(hub), CallPolicy(attempts=1, timeout_s=20))
        yield SimpleNamespace(hub=HubDesk(client))

    async with replica(api, opened) as client:
        yield client


async def put(
    config: httpx.AsyncClient, key: str, value: Any, token: dict[str, str]
) -> httpx.Response:
    seen = (await config.get(f"{URL}/{key}", headers=token)).headers["etag"]
    body = {"value": value, "reason": "a test"}
    return await config.put(f"{URL}/{key}", json=body, headers={**token, "if-match": seen})


async def test_a_scope_for_a_section_changes_that_section_alone(
    config: httpx.AsyncClient, mint: Any
) -> None:
    analyst, operator = bearer(mint("fraud_analyst")), bearer(mint("operator"))
    done = await put(config, "fraud.deny_score", 91, analyst)
    assert done.status_code == 200, done.text
    for key, value in (("orders.max_lines", 7), ("log.level", "DEBUG")):
        refused = await put(config, key, value, analyst)
        assert refused.status_code == 403
        assert refused.json()["scope"] == "config:write"
    params = {"reason": "a test"}
    before = {"if-match": done.headers["etag"]}
    assert (await put(config, "orders.max_lines", 7, operator)).status_code == 200
    seen = (await config.get(URL, headers=analyst)).headers["etag"]
    refused = await config.delete(
        f"{URL}/orders.max_lines", params=params, headers={**analyst, "if-match": seen}
    )
    assert refused.status_code == 403
    # What it would change is known to the hub alone.
    back = {"version": int(before["if-match"].strip('"')), "reason": "a test"}
    refused = await config.post(f"{URL}/rollback", json=back, headers={**analyst, "if-match": seen})
    assert refused.status_code == 403
    assert refused.json()["errors"][0]["field"] == "orders.max_lines"
    still = (await config.get(f"{URL}/orders.max_lines", headers=analyst)).json()
    assert still["value"] == 7


async def test_the_others_may_change_nothing(config: httpx.AsyncClient, mint: Any) -> None:
    for role in ("customer", "support", "marketer"):
        answer = await config.put(
            f"{URL}/fraud.deny_score",
            json={"value": 90, "reason": "a test"},
            headers={**bearer(mint(role)), "if-match": '"1"'},
        )
        assert answer.status_code == 403


async def test_the_hub_looks_at_every_key(hub: Any) -> None:
    edits = (
        Edit({"fraud.deny_score": 90, "orders.max_lines": 7}),
        Edit({"fraud.deny_score": 90}, unsets=("log.level",)),
        Edit({"orders.max_lines": 7}),
    )
    for edit in edits:
        wish = Change(edit=edit, author="ann", reason="a test", sections=("fraud",))
        with pytest.raises(Forbidden):
            await hub.handle("change", wish, {})
