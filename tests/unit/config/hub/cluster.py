"""A hub that can be killed, and members on the other side of a link that can break."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

from virtual_time import clock

from ecap.config import Settings
from ecap.config.hub.history import Entry, Event, History, MemoryHistory
from ecap.config.hub.hub import Hub
from ecap.config.layers import schema
from ecap.config.layers.layer import Given, Layer, Source
from ecap.config.layers.references import Reference
from ecap.config.member.member import Member
from ecap.config.member.probation import Vitals
from ecap.config.protocol import Health, Instruction, Report
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import Stored
from ecap.config.settings.keyring import Keyring as Keys
from ecap.errors import Misconfigured, Unavailable


class Killed(BaseException):
    """The process is gone; nobody catches that."""


class MortalHistory:
    """Kills its hub at the n-th append, before or after it is stored."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.appends = 0
        self.die_at: tuple[int, str] | None = None

    async def append(
        self, events: Sequence[Event], *, after: Entry | None, state: bytes | None
    ) -> Entry:
        self.appends += 1
        if self.die_at == (self.appends, "before"):
            raise Killed
        entry = await self.history.append(events, after=after, state=state)
        if self.die_at == (self.appends, "after"):
            raise Killed
        return entry

    async def entries(self, *, after_seq: int = 0, limit: int | None = None) -> Sequence[Entry]:
        return await self.history.entries(after_seq=after_seq, limit=limit)

    async def last(self) -> Entry | None:
        return await self.history.last()

    async def state(self, version: int) -> bytes | None:
        return await self.history.state(version)


class SecretShelf:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.away = False

    async def fetch(self, wanted: Mapping[Reference, str]) -> Mapping[Reference, str]:
        if self.away and wanted:
            raise Unavailable("the shelf is away")
        missing = [where for ref, where in wanted.items() if ref.name not in self.values]
        if missing:
            raise Misconfigured(f"{missing[0]}: nothing on the shelf")
        return {ref: self.values[ref.name] for ref in wanted}


def layer(source: Source, **values: Any) -> Layer:
    """`orders__currency="EUR"` is `orders.currency`."""
    flat = {name.replace("__", "."): value for name, value in values.items()}
    return Layer(source, {key: Given(value, f"{source}:{key}") for key, value in flat.items()})


class Cluster:
    def __init__(self, *, wall: Callable[[], float] = clock) -> None:
        self.history = MortalHistory(MemoryHistory())
        self.ring = Keyring([new_key(now=0)])
        self.secrets = SecretShelf()
        self.given: dict[Source, Layer] = {}
        self.boot_id = "boot-1"
        self.ignore_overrides = False
        self.hub: Hub | None = None
        self.members: dict[str, Member] = {}
        self.cut: set[str] = set()
        self.link: Callable[[Report], Awaitable[Instruction]] = self.reach
        """What carries reports; a test may hold or alter what goes over it."""
        self._wall = wall
        self._hub_task: asyncio.Task[None] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._down = asyncio.Event()
        self._calls: set[asyncio.Task[Any]] = set()

    def behind(self, call: Coroutine[Any, Any, Any]) -> None:
        """Whoever calls goes on without the answer."""
        task = asyncio.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    # The hub

    async def start_hub(self) -> Hub:
        self.hub = Hub(
            history=self.history,
            keys=LiveKeyring(self.ring, self._stored, Keys(), clock=clock),
            secrets=self.secrets,
            environ={},
            given=dict(self.given),
            boot_id=self.boot_id,
            clock=clock,
            wall=self._wall,
            ignore_overrides=self.ignore_overrides,
        )
        self._down = asyncio.Event()
        self._hub_task = asyncio.create_task(self._live(self.hub), name="hub")
        return self.hub

    async def _stored(self) -> Stored:
        return Stored(self.ring, "")

    async def _live(self, hub: Hub) -> None:
        with suppress(Killed):
            await hub.run()
        self._down.set()

    async def kill_hub(self) -> None:
        assert self._hub_task is not None
        self._hub_task.cancel()
        await asyncio.wait({self._hub_task})
        self._down.set()
        self.hub = None

    @property
    def hub_is_down(self) -> bool:
        return self._down.is_set()

    async def hub_death(self) -> None:
        await self._down.wait()

    # The link

    async def exchange(self, report: Report) -> Instruction:
        return await self.link(report)

    async def reach(self, report: Report) -> Instruction:
        if self.hub is None or self._down.is_set() or report.member in self.cut:
            raise Unavailable("no hub")
        call = asyncio.create_task(self.hub.exchange(report))
        down = asyncio.create_task(self._down.wait())
        try:
            await asyncio.wait({call, down}, return_when=asyncio.FIRST_COMPLETED)
            if call.done() and report.member not in self.cut:
                return call.result()
            raise Unavailable("the hub was lost")
        finally:
            for task in (call, down):
                task.cancel()
            await asyncio.wait({call, down})

    async def leave(self, member: str, incarnation: str) -> None:
        if self.hub is not None:
            await self.hub.leave(member, incarnation)

    # Members

    def add(
        self,
        name: str,
        *,
        kind: str = "actor",
        health: Callable[[], Health] = Health,
        vitals: Vitals | None = None,
    ) -> Member:
        member = Member(
            name,
            kind=kind,
            settings=Settings(),
            link=self,
            clock=clock,
            health=health,
            vitals=vitals,
            wall=self._wall,
        )
        self.members[name] = member
        self.start(name)
        return member

    def start(self, name: str) -> None:
        self._tasks[name] = asyncio.create_task(self.members[name].run(), name=name)

    async def kill(self, name: str) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.wait({task})
        del self.members[name]

    async def joined(self) -> None:
        for member in self.members.values():
            await member.joined(timeout_s=60)

    async def heard(self) -> None:
        """Until the hub knows who can refuse what: a member's next report says it."""
        await asyncio.sleep(Settings().hub.hold_s + 1)

    async def agree(self, *, timeout_s: float = 600.0) -> int:
        """Until every member runs the hub's version; which one."""
        deadline = clock() + timeout_s
        while clock() < deadline:
            versions = {member.version for member in self.members.values()}
            hub = self.hub
            if hub is not None and not self._down.is_set() and hub._rounds is not None:
                accepted = hub.accepted()
                if versions <= {accepted.version}:
                    for member in self.members.values():
                        assert member.settings == accepted.settings
                    return accepted.version
            await asyncio.sleep(0.1)  # of the virtual clock
        raise AssertionError({name: member.version for name, member in self.members.items()})

    async def entries(self) -> list[Entry]:
        return list(await self.history.entries())

    async def stop(self) -> None:
        tasks = [*self._tasks.values()]
        if self._hub_task is not None:
            tasks.append(self._hub_task)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def default(key: str) -> Any:
    return schema.find(key).default
