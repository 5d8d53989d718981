"""The configuration hub as an actor: it opens what the hub needs, and opens it again.

Members and operators reach it by name. While something it needs is away, or there is
no keyring, it says so and everybody goes on with what they run.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ecap import logs, tasks
from ecap.actors.backoff import Backoff
from ecap.actors.hub_link import CONFIG
from ecap.clients.config_history import PostgresHistory
from ecap.clients.database import open_database
from ecap.clients.postgres import Pool
from ecap.config.hub.desk import Desk
from ecap.config.hub.hub import Hub
from ecap.config.member.follows import LEVEL, Follow, follow
from ecap.config.member.member import Member
from ecap.config.member.probation import Troubles, Vitals
from ecap.config.settings.connections.postgres import Postgres
from ecap.config.settings.hub import Hub as HubSettings
from ecap.config.settings.tree import Settings
from ecap.config.sources.origins import Origins, open_origins
from ecap.config.sources.source import feed
from ecap.config.sources.startup import load
from ecap.errors import EcapError, Fenced, NotFound, Unavailable

_log = logs.get("ecap.config")
_FIRST_S = 0.2
_CAP_S = 5.0


@dataclass
class _Opened:
    hub: Hub
    desk: Desk
    origins: Origins
    settings: Settings
    pool: Pool
    calls: set[asyncio.Task[Any]] = field(default_factory=set)
    closed: bool = False


class ConfigHub:
    """`boot_id` names the start of the cluster: the same when only this actor is replaced."""

    def __init__(
        self, environ: Mapping[str, str], *, boot_id: str, ignore_overrides: bool = False
    ) -> None:
        self._ignore_overrides = ignore_overrides
        self._environ = environ
        self._boot_id = boot_id
        self._opened: _Opened | None = None
        self._task: asyncio.Task[None] | None = None
        self._trouble: str | None = "starting"

    async def start(self) -> None:
        """Nobody waits for the hub to be open: it is needed for changes only."""
        self._task = asyncio.create_task(self._keep(), name="config-hub")

    async def stop(self) -> None:
        if self._task is not None:
            await tasks.end(self._task)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "alive": self._task is None or not self._task.done(),
            "ok": self._trouble is None,
            "trouble": self._trouble,
        }
        opened = self._opened
        if opened is not None:
            with suppress(Unavailable):
                found["version"] = opened.hub.accepted().version
                found["members"] = len(opened.hub.standing())
            found["sources"] = {
                source.health.name: source.health.last_error or source.health.refused or "ok"
                for source in opened.origins.sources
            }
        return found

    async def handle(self, method: str, payload: Any, headers: Mapping[str, str]) -> Any:
        answer = _ANSWERS.get(method)
        if answer is None:
            raise NotFound(f"the configuration hub has no {method}")
        opened = self._open()
        task = asyncio.current_task()
        assert task is not None
        opened.calls.add(task)
        try:
            return await answer(opened, payload)
        except asyncio.CancelledError:
            if not opened.closed:
                raise
            # Whoever waits must not wait for a hub that is gone; the call itself goes on.
            task.uncancel()
            raise Unavailable("the configuration hub was lost") from None
        finally:
            opened.calls.discard(task)

    def _open(self) -> _Opened:
        if self._opened is None:
            raise Unavailable(f"the configuration hub is away: {self._trouble}")
        return self._opened

    # ---- the one task

    async def _keep(self) -> None:
        """Ends when another hub works on the same history; the supervisor decides then."""
        backoff = Backoff(first_s=_FIRST_S, cap_s=_CAP_S)
        fenced = False
        while not fenced:
            try:
                await self._run(backoff)
            except* EcapError as group:
                error = _first(group)
                fenced = isinstance(error, Fenced)
                if error.detail != self._trouble:
                    _log.error("the configuration hub is not open", extra={"why": error.detail})
                self._trouble = error.detail
            await asyncio.sleep(backoff.next_s())

    async def _run(self, backoff: Backoff) -> None:
        async with self._opening() as opened, asyncio.TaskGroup() as group:
            # Ends with the first of them: each is meant never to end.
            group.create_task(opened.hub.run(), name="config-decide")
            await opened.hub.started()
            self._opened, self._trouble = opened, None
            backoff.reset()
            group.create_task(feed(opened.hub, opened.origins.sources), name="config-feed")
            group.create_task(_follow_keyring(opened), name="config-keyring")
            group.create_task(_takes_part(opened), name="config-member")

    @asynccontextmanager
    async def _opening(self) -> AsyncIterator[_Opened]:
        settings = await asyncio.to_thread(load, self._environ)
        settings = settings.model_copy(update={"postgres": _patient(settings.postgres)})
        async with (
            open_database(settings, service="config") as pool,
            open_origins(
                self._environ,
                clock=time.monotonic,
                wall=time.time,
                rng=random.Random(),  # noqa: S311  jitter
            ) as origins,
        ):
            history = PostgresHistory(pool)
            hub = Hub(
                history=history,
                keys=origins.keyring,
                secrets=origins.secrets,
                environ=self._environ,
                given=origins.given,
                boot_id=self._boot_id,
                clock=time.monotonic,
                wall=time.time,
                ignore_overrides=self._ignore_overrides,
            )
            opened = _Opened(hub, Desk(hub, history), origins, settings, pool)
            try:
                yield opened
            finally:
                self._opened = None
                opened.closed = True
                for call in opened.calls:
                    call.cancel()


async def _follow_keyring(opened: _Opened) -> None:
    async for _ in opened.origins.keyring.changes():
        opened.hub.renew()


async def _takes_part(opened: _Opened) -> None:
    """This process is a member as every other: it brings itself what it decides."""
    files = opened.origins.files

    def timing(new: HubSettings) -> None:
        files.reconfigure(
            debounce_s=new.debounce_s, poll_s=new.file_poll_s, settle_s=new.file_settle_s
        )
        opened.origins.secret_files.reconfigure(poll_s=new.file_poll_s, settle_s=new.file_settle_s)

    async def troubles() -> Troubles:
        """It needs its pool to undo what made the pool useless."""
        try:
            await opened.pool.ping()
        except EcapError as exc:
            return {"postgres": exc.detail}
        return {}

    member = Member(
        CONFIG,
        kind="actor",
        settings=opened.settings,
        link=opened.hub,
        clock=time.monotonic,
        vitals=Vitals(troubles),
    )

    async def pool(new: Postgres) -> None:
        await opened.pool.reconfigure(_patient(new))

    follow(member, (LEVEL, Follow("postgres", Postgres, pool), Follow("hub", HubSettings, timing)))
    await member.run()


def _patient(settings: Postgres) -> Postgres:
    """What it brings to others must not keep it from taking that back."""
    least = {"acquire_timeout_s": 2.0, "statement_timeout_s": 5.0, "pool_max_size": 2}
    kept = {name: max(value, getattr(settings, name)) for name, value in least.items()}
    return settings.model_copy(update=kept)


async def _sources(opened: _Opened) -> dict[str, Any]:
    keys = opened.origins.keyring
    age_s = keys.ring.age_s(now=time.time())
    return {
        "sources": [source.health.shown() for source in opened.origins.sources],
        "keyring": {
            "primary": keys.ring.primary.id,
            "keys": [key.id for key in keys.ring.keys],
            "age_s": age_s,
            "too_old": age_s is not None and age_s > opened.origins.settings.keyring.max_age_s,
        },
        "keyring_error": keys.trouble,
    }


def _first(error: BaseException) -> EcapError:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, EcapError)
    return error


_ANSWERS: Mapping[str, Callable[[_Opened, Any], Awaitable[Any]]] = {
    "exchange": lambda opened, report: opened.hub.exchange(report),
    "leave": lambda opened, who: opened.hub.leave(*who),
    "settings": lambda opened, prefix: opened.desk.settings(prefix),
    "setting": lambda opened, key: opened.desk.setting(key),
    "change": lambda opened, change: opened.desk.change(change),
    "roll_back": lambda opened, wish: opened.desk.roll_back(wish),
    "validate": lambda opened, edit: opened.desk.validate(edit),
    "history": lambda opened, page: opened.desk.history(**page),
    "diff": lambda opened, versions: opened.desk.diff(*versions),
    "members": lambda opened, _: opened.desk.members(),
    "sources": lambda opened, _: _sources(opened),
}
