"""The actors on a real Ray node, with real pipelines: started, asked, killed, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
import ray
from counting import order, place, until
from stream_servers import World

from ecap.actors import hosting
from ecap.actors.reach import RayActors, RayActorTransport
from ecap.actors.remote import ensure_supervisor, statuses, stop_all
from ecap.config.keyring import Keyring, new_key
from ecap.config.keyring_stores import FileKeyring, Plain
from ecap.config.traffic import CallPolicySettings, Mesh
from ecap.domain.ids import new_id
from ecap.domain.scoring import ScoreAnswer, ScoreQuestion
from ecap.errors import Misconfigured, NotFound, Retryable
from ecap.mesh import MeshClients, Unreached


@pytest.fixture(scope="module")
def node() -> Iterator[None]:
    ray.init(
        address="local",
        namespace="ecap",
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 << 20,
    )
    yield
    ray.shutdown()


@asynccontextmanager
async def supervised(world: World, folder: Path) -> AsyncIterator[None]:
    keyring = folder / "keyring"
    FileKeyring(keyring, Plain()).save(Keyring([new_key(now=0)]), revision=None)
    more = {"ECAP__KEYRING__SOURCE": "file", "ECAP__KEYRING__FILE": str(keyring)}
    environ = world.environ(ECAP__SMTP__HOST="127.0.0.1", **more)
    await ensure_supervisor(environ, boot_id="one")
    try:
        yield
    finally:
        await stop_all()


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
    settings = world.settings()
    async with supervised(world, tmp_path):
        assert set(await statuses()) == set(hosting.names(settings))
        patient = Mesh(default=CallPolicySettings(attempts=5))
        shards = RayActors(settings).shards(world.pool, clients=MeshClients(patient))
        user = UUID(int=7)

        async def answered() -> ScoreAnswer | None:
            try:
                found = await shards.ask("fraud", str(user), question(user), timeout_s=2.0)
            except Retryable:
                return None
            assert isinstance(found, ScoreAnswer)
            return found

        await until(answered)

        waits = []
        for _ in range(50):
            started = asyncio.get_running_loop().time()
            await answered()
            waits.append(asyncio.get_running_loop().time() - started)
        print(f"ask: p50 {sorted(waits)[25] * 1e3:.1f} ms, worst {max(waits) * 1e3:.1f} ms")

        # A killed shard is restarted by Ray and takes its own partitions back at once.
        os.kill(await pid_of("fraud-0"), signal.SIGKILL)
        await until(answered)

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

        transport = RayActorTransport("fraud-0")
        with pytest.raises(NotFound, match="no dance"):
            await transport.send("dance", None, {}, 2.0)
        with pytest.raises(Unreached):
            await RayActorTransport("nobody").send("ask", None, {}, 2.0)

        limiter = RayActors(settings).limiter("test")
        assert limiter is not None
        verdicts = [await limiter.take("k", rate_per_s=0.001, burst=5) for _ in range(7)]
        assert [v.allowed for v in verdicts] == [True] * 5 + [False] * 2
        await limiter.aclose()
    assert await statuses() == {}
    owners = await world.pool.fetch("SELECT DISTINCT owner FROM stream.partitions")
    assert [row["owner"] for row in owners] == [None]
