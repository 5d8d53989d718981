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

from ecap import logs, metrics
from ecap.config import redaction, subscriptions
from ecap.config.protocol import (
    Health,
    HubLink,
    Order,
    Report,
    Snapshot,
    Verdict,
    leaves_of,
)
from ecap.config.settings import Settings
from ecap.config.subscriptions import Subscription
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
        self._running: Snapshot | None = None
        self._staged: _Staged | None = None
        self._prepared: Verdict | None = None
        self._failed: Verdict | None = None
        self._heard_at = clock()
        self._current = asyncio.Event()

    def subscribe(
        self,
        prefix: str,
        kind: type[T],
        on_change: Callable[[T, T], Awaitable[None]],
        *,
        check: Callable[[T], Awaitable[None]] | None = None,
        timeout_s: float | None = None,
    ) -> Callable[[], None]:
        """Answers how to end it. Raises Misconfigured when `prefix` is no `kind`."""
        self._check_prefix(prefix, kind)
        return self._add(Subscription(prefix, on_change, check=check, timeout_s=timeout_s))

    def subscribe_entry(
        self,
        prefix: str,
        kind: type[T],
        on_change: Callable[[T | None, T | None], Awaitable[None]],
        *,
        check: Callable[[T | None], Awaitable[None]] | None = None,
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
        return lambda: self._subscriptions.remove(subscription)

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
        while True:
            try:
                order = await link.exchange(self.report())
            except Retryable as exc:
                if backoff_s == _BACKOFF_S:
                    _log.warning("configuration hub is away", extra={"reason": exc.detail})
                metrics.config_silence_seconds.labels(self.name).set(self.silence_s)
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, _BACKOFF_MAX_S)
                continue
            backoff_s = _BACKOFF_S
            self._heard_at = self._clock()
            metrics.config_silence_seconds.labels(self.name).set(0)
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
            prefixes=tuple(dict.fromkeys(item.prefix for item in self._subscriptions)),
        )

    async def _obey(self, order: Order) -> None:
        if order.kind == "prepare":
            assert order.snapshot is not None
            self._prepared = await self._prepare(order.snapshot)
        elif order.kind == "apply":
            await self._apply(order)

    async def _prepare(self, snapshot: Snapshot) -> Verdict:
        try:
            settings = self._settings(snapshot)
        except ValidationError as exc:
            return Verdict(snapshot.version, _invalid(exc))
        self._staged = _Staged(snapshot.version, settings)
        timeout_s = self.settings.hub.callback_timeout_s
        concerned = [item for item in self._subscriptions if item.differs(self.settings, settings)]
        results = await asyncio.gather(
            *(item.check(settings, timeout_s=timeout_s) for item in concerned),
            return_exceptions=True,
        )
        return self._verdict(snapshot, concerned, results)

    def _settings(self, snapshot: Snapshot) -> Settings:
        if self._running is None:
            return snapshot.settings()
        return snapshot.settings_after(self._running, self.settings)

    async def _apply(self, order: Order) -> None:
        snapshot = order.snapshot
        assert snapshot is not None
        if self._staged is not None and self._staged.version == order.version:
            settings = self._staged.settings
        else:
            try:
                settings = self._settings(snapshot)
            except ValidationError as exc:
                self._failed = Verdict(order.version, _invalid(exc))
                return
        verdict = await self._tell(snapshot, settings)
        if verdict.refusal is not None:
            self._failed = verdict
            return
        self.settings = settings
        self.version = order.version
        self._running = snapshot
        metrics.config_version.labels(self.name).set(order.version)
        self._staged = None
        self._failed = None
        self._current.set()

    async def _tell(self, snapshot: Snapshot, new: Settings) -> Verdict:
        """All subscribers take `new`, or all are back on what they had."""
        old = self.settings
        timeout_s = old.hub.callback_timeout_s
        concerned = [item for item in self._subscriptions if item.differs(old, new)]
        results = await asyncio.gather(
            *(item.change(old, new, timeout_s=timeout_s) for item in concerned),
            return_exceptions=True,
        )
        verdict = self._verdict(snapshot, concerned, results)
        if verdict.refusal is None:
            return verdict
        taken = [item for item, result in zip(concerned, results, strict=True) if result is None]
        back = await asyncio.gather(
            *(item.change(new, old, timeout_s=timeout_s) for item in taken),
            return_exceptions=True,
        )
        if any(result is not None for result in back):
            _log.error("a subscriber did not go back", extra={"version": snapshot.version})
        return verdict

    def _verdict(
        self,
        snapshot: Snapshot,
        concerned: list[Subscription[Any]],
        results: list[BaseException | None],
    ) -> Verdict:
        reasons = []
        for item, result in zip(concerned, results, strict=True):
            if isinstance(result, Exception):
                reasons.append(f"{item.prefix or 'all'}: {subscriptions.refusal(result)}")
            elif isinstance(result, BaseException):
                raise result
        if not reasons:
            return Verdict(snapshot.version)
        # Of both: a subscriber may speak of what it had and of what it was to have.
        hidden = redaction.secrets(snapshot.leaves) | redaction.secrets(leaves_of(self.settings))
        return Verdict(snapshot.version, redaction.scrub("; ".join(reasons), hidden))


def _invalid(error: ValidationError) -> str:
    """A member of another release may know other settings than the hub."""
    keys = sorted({".".join(map(str, item["loc"])) for item in error.errors(include_input=False)})
    return f"not valid here: {', '.join(keys)}"
