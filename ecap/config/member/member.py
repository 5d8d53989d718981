"""One process that runs configuration: it asks the hub, checks, applies, acknowledges.

`member.settings` is what counts now; a plain attribute, because hot paths read it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from ecap import __version__, logs, metrics
from ecap.config.layers import redaction
from ecap.config.member import subscriptions
from ecap.config.member.subscriptions import Subscription
from ecap.config.protocol import (
    Changes,
    Health,
    HubLink,
    Instruction,
    Report,
    Snapshot,
    Vote,
    leaves_of,
)
from ecap.config.settings.tree import Settings
from ecap.errors import Misconfigured, Retryable

_log = logs.get("ecap.config")

T = TypeVar("T")
_BACKOFF_S = 0.05
_BACKOFF_MAX_S = 1.0


@dataclass(frozen=True)
class _Staged:
    version: int
    settings: Settings


class Member:
    """`settings` are what the process loaded by itself; the hub's replace them.

    Without a `link` they stay as they are. `clock` is monotonic, in seconds.
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
    ) -> None:
        self.name = name
        self.kind = kind
        self.settings = settings
        self.version = 0
        self.incarnation = uuid.uuid4().hex
        self._link = link
        self._clock = clock
        self._health = health
        self._subscriptions: list[Subscription[Any]] = []
        self._prefixes: tuple[str, ...] = ()
        self._checks: tuple[str, ...] = ()
        self._staged: _Staged | None = None
        self._prepared: Vote | None = None
        self._failed: Vote | None = None
        self._heard_at = clock()
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
        return self._add(Subscription(prefix, on_change, check=check, timeout_s=timeout_s))

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
        return self._add(Subscription(prefix, on_change, check=check, timeout_s=timeout_s))

    def _check_prefix(self, prefix: str, kind: Any) -> None:
        known = subscriptions.exists(prefix)
        if not known or not isinstance(subscriptions.at(self.settings, prefix), kind):
            raise Misconfigured(f"there is no {kind} at {prefix!r} to subscribe to")

    def _add(self, subscription: Subscription[Any]) -> Callable[[], None]:
        self._subscriptions.append(subscription)
        self._tell_apart()

        def end() -> None:
            self._subscriptions.remove(subscription)
            self._tell_apart()

        return end

    def _tell_apart(self) -> None:
        self._prefixes = tuple(dict.fromkeys(item.prefix for item in self._subscriptions))
        self._checks = tuple(
            dict.fromkeys(item.prefix for item in self._subscriptions if item.checks)
        )

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
        backoff_s = _BACKOFF_S
        link = self._link
        if link is None:
            await asyncio.Event().wait()
            return
        self._silence.set(0)
        while True:
            try:
                order = await link.exchange(self.report())
            except Retryable as exc:
                if backoff_s == _BACKOFF_S:
                    _log.warning("configuration hub is away", extra={"reason": exc.detail})
                self._silence.set(self.silence_s)
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, _BACKOFF_MAX_S)
                continue
            self._heard_at = self._clock()
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
            prefixes=self._prefixes,
            checks=self._checks,
            release=__version__,
        )

    async def _obey(self, order: Instruction) -> None:
        if order.kind == "prepare":
            assert order.content is not None
            self._prepared, settings = await self._checked(order.content)
            self._staged = None if settings is None else _Staged(order.version, settings)
        elif order.kind == "apply":
            await self._apply(order)

    async def _checked(self, content: Snapshot | Changes) -> tuple[Vote, Settings | None]:
        """With a yes the settings."""
        try:
            settings = content.settings(self.settings)
        except ValidationError as exc:
            return Vote(content.version, _invalid(exc)), None
        timeout_s = self.settings.hub.callback_timeout_s
        concerned = [item for item in self._concerned(settings, content) if item.checks]
        results = await subscriptions.outcomes(
            item.check(settings, timeout_s=timeout_s) for item in concerned
        )
        verdict = self._verdict(content.version, settings, concerned, results)
        return verdict, settings if verdict.refusal is None else None

    async def _apply(self, order: Instruction) -> None:
        settings = await self._to_apply(order)
        if settings is None:
            return
        concerned = self._concerned(settings, order.content)
        verdict = await self._tell(order.version, settings, concerned)
        if verdict.refusal is not None:
            self._failed = verdict
            return
        # When all have taken it, not before: hot paths read the attribute, and would see what is
        # undone a moment later.
        self.settings = settings
        self.version = order.version
        self._shown_version.set(order.version)
        self._failed = None
        # A vote on a later version stays, with what is staged for it: who lags is asked about the
        # next one before it is told to take this one.
        if self._prepared is not None and self._prepared.version <= order.version:
            self._prepared = self._staged = None
        self._current.set()

    async def _to_apply(self, order: Instruction) -> Settings | None:
        """What was prepared, or what comes with the order: who was not asked checks now."""
        if order.content is not None:
            verdict, settings = await self._checked(order.content)
            if settings is None:
                self._failed = verdict
            return settings
        if self._staged is not None and self._staged.version == order.version:
            return self._staged.settings
        # The hub counts on what is not here. Told so, it sends everything.
        self._prepared = None
        return None

    def _concerned(
        self, new: Settings, content: Snapshot | Changes | None
    ) -> list[Subscription[Any]]:
        """`content`, if there is one, says quicker where nothing differs."""
        return [
            item
            for item in self._subscriptions
            if (content is None or content.touches(item.prefix))
            and item.differs(self.settings, new)
        ]

    async def _tell(self, version: int, new: Settings, concerned: list[Subscription[Any]]) -> Vote:
        """All of them take `new`, or all are back on what they had."""
        old = self.settings
        timeout_s = old.hub.callback_timeout_s
        results = await subscriptions.outcomes(
            item.change(old, new, timeout_s=timeout_s) for item in concerned
        )
        verdict = self._verdict(version, new, concerned, results)
        if verdict.refusal is None:
            return verdict
        taken = [item for item, result in zip(concerned, results, strict=True) if result is None]
        back = await subscriptions.outcomes(
            item.change(new, old, timeout_s=timeout_s) for item in taken
        )
        if any(result is not None for result in back):
            _log.error("a subscriber did not go back", extra={"version": version})
        return verdict

    def _verdict(
        self,
        version: int,
        new: Settings,
        concerned: list[Subscription[Any]],
        results: list[BaseException | None],
    ) -> Vote:
        reasons = []
        for item, result in zip(concerned, results, strict=True):
            if isinstance(result, Exception):
                reasons.append(f"{item.prefix or 'all'}: {subscriptions.refusal(result)}")
            elif isinstance(result, BaseException):
                raise result
        if not reasons:
            return Vote(version)
        # Of both: a subscriber may speak of what it had and of what it was to have.
        hidden = redaction.secrets(leaves_of(new)) | redaction.secrets(leaves_of(self.settings))
        return Vote(version, redaction.scrub("; ".join(reasons), hidden))


def _invalid(error: ValidationError) -> str:
    """A member of another release may know other settings than the hub."""
    keys = sorted({".".join(map(str, item["loc"])) for item in error.errors(include_input=False)})
    return f"not valid here: {', '.join(keys)}"
