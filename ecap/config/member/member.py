"""One process that runs configuration: it asks the hub, checks, applies, acknowledges.

`member.settings` is what counts now; a plain attribute, because hot paths read it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from ecap import __version__, logs, metrics
from ecap.config.member import subscriptions, votes
from ecap.config.member.expiry import Decided, Expiry
from ecap.config.member.probation import Probation, Vitals
from ecap.config.member.subscriptions import Subscription, Subscriptions
from ecap.config.protocol import Changes, Health, HubLink, Instruction, Report, Snapshot, Vote
from ecap.config.settings.tree import Settings
from ecap.errors import Misconfigured, Retryable

_log = logs.get("ecap.config")

T = TypeVar("T")
_BACKOFF_S = 0.05
_BACKOFF_MAX_S = 1.0
# A hub that was killed is back before that.
_AWAY_S = 5.0


class Member:
    """`settings` are what the process loaded by itself; the hub's replace them.

    Without a `link` they stay as they are. `clock` is monotonic, `wall` is Unix time, both
    in seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: str,
        settings: Settings,
        link: HubLink | None,
        clock: Callable[[], float],
        health: Callable[[], Health] = Health,
        vitals: Vitals | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.kind = kind
        self.settings = settings
        self.incarnation = uuid.uuid4().hex
        self._link = link
        self._clock = clock
        self._health = health
        self._subscriptions = Subscriptions()
        self._staged: Decided | None = None
        self._prepared: Vote | None = None
        self._failed: Vote | None = None
        self._heard_at = clock()
        self._away_since: float | None = None
        self._changing = asyncio.Lock()
        # What was decided: `settings` differ from it when overrides have ended, and while
        # the settings of before are tried.
        self._decided = self._proven = Decided(0, settings)
        self._tries_before = False
        self._wall = wall
        self._expiry = Expiry(self._expire, wall=wall)
        self._probation = Probation(vitals or Vitals(), silent=self._silent_for_long, clock=clock)
        self._trial: asyncio.Task[None] | None = None
        self._current = asyncio.Event()
        self._silence = metrics.config_silence_seconds.labels(name)
        self._shown_version = metrics.config_version.labels(name)

    def subscribe(
        self,
        prefix: str,
        kind: type[T],
        on_change: Callable[[T, T], Awaitable[None] | None],
        *,
        check: Callable[[T], object] | None = None,
        timeout_s: float | None = None,
    ) -> Callable[[], None]:
        """Answers how to end it. Raises Misconfigured when `prefix` is no `kind`.

        `check` refuses by raising. The hub hears of it with the next report; until then it is
        made when the change is applied, and undoes it.
        """
        self._check_prefix(prefix, kind)
        return self._subscriptions.add(
            Subscription(prefix, on_change, check=check, timeout_s=timeout_s)
        )

    def subscribe_entry(
        self,
        prefix: str,
        kind: type[T],
        on_change: Callable[[T | None, T | None], Awaitable[None] | None],
        *,
        check: Callable[[T | None], object] | None = None,
        timeout_s: float | None = None,
    ) -> Callable[[], None]:
        """For what may be absent, as `mesh.callees.auth` or an unset address: None then."""
        self._check_prefix(prefix, kind | None)
        return self._subscriptions.add(
            Subscription(prefix, on_change, check=check, timeout_s=timeout_s)
        )

    def _check_prefix(self, prefix: str, kind: Any) -> None:
        known = subscriptions.exists(prefix)
        if not known or not isinstance(subscriptions.at(self.settings, prefix), kind):
            raise Misconfigured(f"there is no {kind} at {prefix!r} to subscribe to")

    @property
    def version(self) -> int:
        return self._decided.version

    @property
    def silence_s(self) -> float:
        """Since the hub was heard last; the settings are at least that fresh."""
        return self._clock() - self._heard_at

    async def joined(self, *, timeout_s: float) -> None:
        """Until a version of the hub runs here. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._current.wait()

    async def run(self) -> None:
        """Until cancelled; keeps the last good settings while the hub is away."""
        link = self._link
        if link is None:
            await asyncio.Event().wait()
            return
        self._silence.set(0)
        expiry = asyncio.create_task(self._expiry.run(), name=f"config-expiry-{self.name}")
        try:
            await self._converse(link)
        finally:
            tasks = {expiry} if self._trial is None else {expiry, self._trial}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _converse(self, link: HubLink) -> None:
        backoff_s = _BACKOFF_S
        while True:
            try:
                order = await link.exchange(self.report())
            except Retryable as exc:
                if backoff_s == _BACKOFF_S:
                    _log.warning("configuration hub is away", extra={"reason": exc.detail})
                if self._away_since is None:
                    self._away_since = self._clock()
                self._silence.set(self.silence_s)
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, _BACKOFF_MAX_S)
                continue
            self._heard_at, self._away_since = self._clock(), None
            if backoff_s != _BACKOFF_S:
                backoff_s = _BACKOFF_S
                self._silence.set(0)
            # One after the other: the hub sends what differs from the version that the report
            # named, so nothing may be applied between a report and its answer.
            await self._obey(order)

    async def leave(self) -> None:
        if self._link is not None:
            await self._link.leave(self.name, self.incarnation)

    def report(self) -> Report:
        return Report(
            member=self.name,
            incarnation=self.incarnation,
            kind=self.kind,
            running=self.version,
            prepared=self._prepared,
            failed=self._failed,
            health=self._health(),
            prefixes=self._subscriptions.prefixes,
            checks=self._subscriptions.checks,
            release=__version__,
        )

    def _silent_for_long(self) -> bool:
        away = self._away_since
        return away is not None and self._clock() - away > _AWAY_S

    async def _obey(self, order: Instruction) -> None:
        content = order.content
        if isinstance(content, Changes) and content.base != self.version:
            return  # it went back meanwhile; the next report says so
        async with self._changing:
            if order.kind == "prepare":
                assert content is not None
                self._prepared, self._staged = await self._checked(content)
            elif order.kind == "apply":
                await self._apply(order)

    async def _checked(self, content: Snapshot | Changes) -> tuple[Vote, Decided | None]:
        """With a yes what was decided."""
        try:
            raw = content.settings(self._decided.settings)
            decided = Decided(content.version, raw, content.ends)
            settings = decided.at(self._wall())
        except ValidationError as exc:
            return Vote(content.version, votes.invalid(exc)), None
        timeout_s = self.settings.hub.callback_timeout_s
        concerned = [item for item in self._concerned(settings, content) if item.checks]
        results = await subscriptions.outcomes(
            item.check(settings, timeout_s=timeout_s) for item in concerned
        )
        verdict = votes.vote(content.version, self.settings, settings, concerned, results)
        return verdict, decided if verdict.refusal is None else None

    async def _apply(self, order: Instruction) -> None:
        decided = await self._to_apply(order)
        if decided is None:
            return
        settings = decided.at(self._wall())
        concerned = self._concerned(settings, order.content)
        verdict = await self._tell(order.version, settings, concerned)
        if verdict.refusal is not None:
            self._failed = verdict
            return
        if self._trial is not None:
            self._trial.cancel()
        joins = self.version == 0
        # When all have taken it, not before: hot paths read the attribute, and would see what is
        # undone a moment later.
        self._run(decided, settings)
        self._failed = None
        # A vote on a later version stays, with what is staged for it: who lags is asked about the
        # next one before it is told to take this one.
        if self._prepared is not None and self._prepared.version <= order.version:
            self._prepared = self._staged = None
        if joins:
            # Nobody has served with what it loaded by itself: there is no way back.
            self._proven = decided
        else:
            self._trial = asyncio.create_task(self._try(), name=f"config-trial-{self.name}")
        self._current.set()

    def _run(self, decided: Decided, settings: Settings) -> None:
        """`settings` are those of `decided` that count now, and run already."""
        self.settings = settings
        self._decided = decided
        self._tries_before = False
        self._expiry.follow(decided.ends)
        self._shown_version.set(decided.version)

    async def _to_apply(self, order: Instruction) -> Decided | None:
        """What was prepared, or what comes with the order: who was not asked checks now."""
        if order.content is not None:
            verdict, decided = await self._checked(order.content)
            if decided is None:
                self._failed = verdict
            return decided
        if self._staged is not None and self._staged.version == order.version:
            return self._staged
        # The hub counts on what is not here. Told so, it sends everything.
        self._prepared = None
        return None

    def _concerned(
        self, new: Settings, content: Snapshot | Changes | None
    ) -> list[Subscription[Any]]:
        if self.settings is not self._decided.settings:
            content = None  # it says what differs from what was decided
        return self._subscriptions.concerned(self.settings, new, content)

    async def _tell(self, version: int, new: Settings, concerned: list[Subscription[Any]]) -> Vote:
        """All of them take `new`, or all are back on what they had."""
        old = self.settings
        timeout_s = old.hub.callback_timeout_s
        results = await subscriptions.outcomes(
            item.change(old, new, timeout_s=timeout_s) for item in concerned
        )
        verdict = votes.vote(version, old, new, concerned, results)
        if verdict.refusal is None:
            return verdict
        taken = [item for item, result in zip(concerned, results, strict=True) if result is None]
        back = await subscriptions.outcomes(
            item.change(new, old, timeout_s=timeout_s) for item in taken
        )
        if any(result is not None for result in back):
            _log.error("a subscriber did not go back", extra={"version": version})
        return verdict

    # After a change: does it hurt?

    async def _try(self) -> None:
        """Ends with the version proven, or gone back from. A later one cancels it."""
        decided, before = self._decided, self._proven
        why = await self._probation.verdict(
            back=partial(self._switch, before),
            again=partial(self._switch, decided),
            probation_s=before.settings.hub.probation_s,
        )
        if why is None:
            self._proven = decided
            return
        async with self._changing:
            self._run(before, self.settings)
            why = votes.scrubbed(why, before.settings, decided.settings)
            self._failed = Vote(decided.version, f"undone by itself: {why}", before.version)
        _log.warning("configuration undone here", extra={"version": decided.version, "why": why})

    async def _switch(self, to: Decided) -> bool:
        """Whether its settings run now, without a word to the hub."""
        async with self._changing:
            settings = to.at(self._wall())
            concerned = self._subscriptions.concerned(self.settings, settings, None)
            verdict = await self._tell(self.version, settings, concerned)
            if verdict.refusal is None:
                self.settings = settings
                self._tries_before = to is not self._decided
            return verdict.refusal is None

    async def _expire(self) -> bool:
        """Whether what has ended counts no longer."""
        if self._tries_before:
            return False
        settings = self._decided.at(self._wall())
        timeout_s = self.settings.hub.callback_timeout_s
        checks = [item for item in self._concerned(settings, None) if item.checks]
        results = await subscriptions.outcomes(
            item.check(settings, timeout_s=timeout_s) for item in checks
        )
        refused = votes.vote(self.version, self.settings, settings, checks, results).refusal
        if refused is None and await self._switch(self._decided):
            return True
        _log.warning("an override has ended, and cannot go", extra={"why": refused})
        return False
