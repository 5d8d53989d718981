"""Every process of the system as a member, without a network: nothing here answers.

A `Feed` is their hub: it hears what they follow, and tells them what to run.
"""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from ecap.actors.follows import follow
from ecap.actors.limits.borrower import LeasedLimiter
from ecap.actors.stream.directory import Directory
from ecap.actors.stream.questions import ShardClient
from ecap.clients.postgres import Pool
from ecap.config.layers import keys
from ecap.config.member.member import Member
from ecap.config.member.participation import taking_part
from ecap.config.protocol import Instruction, Report, Snapshot, leaves_of
from ecap.config.secrets.keyring.ring import Key, Keyring
from ecap.config.secrets.keyring.stores import FileKeyring, Plain
from ecap.config.settings.services.deployments import ServiceName
from ecap.config.settings.tree import Settings
from ecap.errors import Unavailable
from ecap.mesh import MeshClients
from ecap.runtime import roster
from ecap.runtime.services import service_of
from ecap.serve.edge.asgi import Edge
from ecap.serve.replica.replica import build


def _keyring() -> Path:
    folder = tempfile.mkdtemp(prefix="ecap-keyring-")
    atexit.register(shutil.rmtree, folder)
    path = Path(folder) / "keyring"
    FileKeyring(path, Plain()).save(Keyring([Key(Fernet.generate_key().decode())]), revision=None)
    return path


BARE = Settings.model_validate(
    {
        "postgres": {"host": "127.0.0.1", "port": 1, "password": "p"},
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "smtp": {"host": "127.0.0.1"},
        "mesh": {"service_key": "k" * 32},
        "keyring": {"source": "file", "file": _keyring()},
        "auth": {"argon2_memory_kib": 8192, "argon2_iterations": 1},
        "telemetry": {"otlp_endpoint": None},
    }
)


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    return Settings.model_validate(keys.unflatten({**leaves_of(settings), **changes}))


class Feed:
    def __init__(self) -> None:
        self.prefixes: dict[str, set[str]] = {}
        self.running: dict[str, int] = {}
        self.refusals: dict[str, str] = {}
        self._version = 0
        self._snapshot: Snapshot | None = None
        self._news = asyncio.Condition()

    async def exchange(self, report: Report) -> Instruction:
        async with self._news:
            self.prefixes[report.member] = set(report.prefixes)
            self.running[report.member] = report.running
            if report.failed is not None and report.failed.version == self._version:
                self.refusals[report.member] = report.failed.refusal or ""
            self._news.notify_all()
            await self._news.wait_for(lambda: self._due(report))
            return Instruction("apply", self._version, self._snapshot)

    def _due(self, report: Report) -> bool:
        failed = report.failed is not None and report.failed.version == self._version
        return report.running < self._version and not failed

    async def leave(self, member: str, incarnation: str) -> None:
        self.running.pop(member, None)

    async def tell(self, settings: Settings) -> None:
        """Returns when every member runs it or has refused."""
        async with self._news:
            self._version += 1
            self._snapshot = Snapshot.of(self._version, leaves_of(settings))
            self.refusals = {}
            self._news.notify_all()
            await self._news.wait_for(
                lambda: all(
                    version == self._version or member in self.refusals
                    for member, version in self.running.items()
                )
            )

    async def heard(self, *members: str) -> None:
        async with self._news:
            await self._news.wait_for(lambda: set(members) <= self.prefixes.keys())


class Alone:
    """The actors of a replica, all of them away but the hub."""

    def __init__(self, feed: Feed, settings: Settings) -> None:
        self._feed = feed
        self._settings = settings

    def hub(self) -> Feed:
        return self._feed

    def transport(self, actor: str) -> Any:
        return self

    async def send(self, *args: Any) -> Any:
        raise Unavailable("nobody is there")

    def limiter(self, service: str) -> LeasedLimiter:
        return LeasedLimiter(self.send, service=service, lease_s=self._settings.limits.lease_s)

    def shards(self, pool: Pool, *, clients: MeshClients) -> ShardClient:
        return ShardClient(Directory(pool), lambda actor: clients.of(actor, self.transport))


@asynccontextmanager
async def replica(
    service: ServiceName, settings: Settings, feed: Feed
) -> AsyncIterator[tuple[Any, ...]]:
    """All that a replica is made of."""
    found: list[Any] = []
    api, opener = service_of(service)

    @asynccontextmanager
    async def opened(process: Any) -> AsyncIterator[Any]:
        # What a call to a callee or a shard would make.
        process.services("auth")
        process.clients.of("fraud-0", process.actors.transport)
        async with opener(process) as state:
            found.extend((process, state))
            yield state

    edge: Edge = build(api, opened, settings, actors=Alone(feed, settings), member=service)
    async with edge._opening():
        yield (edge, *found)


@asynccontextmanager
async def actor(name: str, settings: Settings, feed: Feed) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:
        hosted = roster.build(name, settings, {})
        await hosted.start()
        stack.push_async_callback(hosted.stop)
        member = Member(
            name,
            kind="actor",
            settings=settings,
            link=feed,
            clock=asyncio.get_running_loop().time,
        )
        follow(member, hosted)
        await stack.enter_async_context(taking_part(member))
        yield hosted
