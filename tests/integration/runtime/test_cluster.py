"""The actors on a real Ray node, with real pipelines: started, asked, killed, stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import ray
from integration.actors.counting import order, place, until
from stream_servers import World

from ecap.actors.reach import RayActors, RayActorTransport
from ecap.actors.wire.calls import SocketTransport
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import FileKeyring, Plain
from ecap.config.settings.mesh import CallPolicySettings, Mesh
from ecap.domain.fraud.scoring import ScoreAnswer, ScoreQuestion
from ecap.domain.values.ids import new_id
from ecap.errors import Misconfigured, NotFound, Retryable
from ecap.mesh import MeshClients, Transport, Unreached
from ecap.runtime import roster
from ecap.runtime.cluster import ensure_supervisor, statuses, stop_all


@pytest.fixture(scope="module")
def node() -> Iterator[None]:
    ray.init(
        address="local",
        namespace="ecap",
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=100 << 20,
    )
    yield
    ray.shutdown()


@asynccontextmanager
async def supervised(world: World, folder: Path) -> AsyncIterator[None]:
    keyring = folder / "keyring"
    FileKeyring(keyring, Plain()).save(Keyring([new_key(now=0)]), revision=None)
    more = {
        "ECAP__KEYRING__SOURCE": "file",
        "ECAP__KEYRING__FILE": str(keyring),
        "ECAP__MESH__SOCKET_DIR": str(folder / "a"),
    }
    environ = world.environ(ECAP__SMTP__HOST="127.0.0.1", **more)
    await ensure_supervisor(environ, boot_id="one")
    try:
        yield
    finally:
        await stop_all()


class Nowhere:
    """Beyond a socket that has to answer by itself."""

    async def send(
        self, method: str, payload: Any, headers: Mapping[str, str], timeout_s: float
    ) -> Any:
        raise Unreached("not at its socket")


def question(user: UUID) -> ScoreQuestion:
    return ScoreQuestion(
        transaction_id=new_id(),
        user_id=user,
        amount_minor=1200,
        currency="USD",
        card="4242",
        device_id="d",
    )


async def test_a_missing_setting_refuses_to_start(node: None, world: World) -> None:
    try:
        with pytest.raises(Misconfigured, match=r"smtp\.host"):
            await ensure_supervisor(world.environ(), boot_id="one")
    finally:
        await stop_all()


async def pid_of(name: str) -> int:
    async def known() -> int | None:
        try:
            health = (await statuses())[name]["health"]
        except Retryable:
            return None
        return health["pid"] if health and health["ok"] else None

    return int(await until(known))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")
async def test_actors_start_answer_survive_and_stop(
    node: None, world: World, tmp_path: Path
) -> None:
    settings = world.settings(ECAP__MESH__SOCKET_DIR=str(tmp_path / "a"))
    async with supervised(world, tmp_path):
        assert set(await statuses()) == set(roster.names(settings))
        patient = Mesh(default=CallPolicySettings(attempts=5))
        reach = RayActors(settings)
        shards = reach.shards(world.pool, clients=MeshClients(patient))
        direct = SocketTransport("fraud-0", tmp_path / "a", beyond=Nowhere())
        user = UUID(int=7)

        async def answered() -> ScoreAnswer | None:
            try:
                found = await shards.ask("fraud", str(user), question(user), timeout_s=2.0)
            except Retryable:
                return None
            assert isinstance(found, ScoreAnswer)
            return found

        await until(answered)
        through_ray = RayActorTransport("fraud-0")
        ways: dict[str, Transport] = {"socket": direct, "Ray": through_ray}
        for name, transport in ways.items():
            waits = []
            for _ in range(100):
                started = asyncio.get_running_loop().time()
                with pytest.raises(NotFound, match="no dance"):
                    await transport.send("dance", None, {}, 2.0)
                waits.append(asyncio.get_running_loop().time() - started)
            print(
                f"{name}: p50 {sorted(waits)[50] * 1e3:.2f} ms, p99 {sorted(waits)[98] * 1e3:.2f}"
            )

        # A killed shard is restarted by Ray and takes its own partitions back at once.
        os.kill(await pid_of("fraud-0"), signal.SIGKILL)
        await until(answered)

        async def dances() -> bool:
            """The restarted one is at its socket again."""
            try:
                await direct.send("dance", None, {}, 2.0)
            except NotFound:
                return True
            except Retryable:
                return False
            raise AssertionError

        await until(dances)

        # An actor that is gone for good is replaced by the supervisor.
        ray.kill(ray.get_actor("relay", namespace="ecap"))
        event = order(str(user), 100)
        await place(world.pool, [event])

        async def decided() -> bool:
            query = "SELECT count(*) FROM fraud.decisions"
            return bool(await world.pool.fetchval(query) == 1)

        await until(decided)

        # Nobody keeps it running while the supervisor is down, and it adopts what it finds.
        before = await pid_of("streams-0")
        supervisor = ray.get_actor("supervisor", namespace="ecap")
        ray.kill(supervisor, no_restart=False)
        assert await pid_of("streams-0") == before

        with pytest.raises(NotFound, match="no dance"):
            await through_ray.send("dance", None, {}, 2.0)
        with pytest.raises(Unreached):
            await reach.transport("nobody").send("ask", None, {}, 2.0)

        async def known() -> bool:
            try:
                found = await reach.transport("supervisor").send("status", None, {}, 2.0)
            except Retryable:  # on its way back
                return False
            return set(found) == set(roster.names(settings))

        await until(known)

        limiter = reach.limiter("test")
        assert limiter is not None
        verdicts = [await limiter.take("k", rate_per_s=0.001, burst=5) for _ in range(7)]
        assert [v.allowed for v in verdicts] == [True] * 5 + [False] * 2
        await limiter.aclose()
        everybody = {"supervisor", *roster.names(settings)}
        assert {one.stem for one in (tmp_path / "a").iterdir()} == everybody
        direct.close()
        reach.close()
    # Each has taken its own away.
    assert list((tmp_path / "a").iterdir()) == []
    assert await statuses() == {}
    owners = await world.pool.fetch("SELECT DISTINCT owner FROM stream.partitions")
    assert [row["owner"] for row in owners] == [None]
