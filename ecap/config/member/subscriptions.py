"""Who in a process wants to know of a change below a prefix.

`on_change(old, new)` comes only when the two differ, one at a time for each
subscriber, in version order. Raising, or taking longer than allowed, refuses the
change: the subscriber must then still be on `old`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from ecap.config.layers import schema
from ecap.config.protocol import Changes, Snapshot
from ecap.config.settings.tree import Settings
from ecap.errors import DeadlineExceeded, EcapError

T = TypeVar("T")

# After a cancelled callback is given this long, it counts as stuck.
_GRACE_S = 0.5


class Subscription(Generic[T]):
    """Of one subscriber to one part of the tree."""

    def __init__(
        self,
        prefix: str,
        on_change: Callable[[T, T], Awaitable[None] | None],
        *,
        check: Callable[[T], object] | None,
        timeout_s: float | None,
    ) -> None:
        self.prefix = prefix
        self._on_change = on_change
        self._check = check
        self._timeout_s = timeout_s
        self._stuck: asyncio.Task[None] | None = None

    def differs(self, old: Settings, new: Settings) -> bool:
        return bool(at(old, self.prefix) != at(new, self.prefix))

    @property
    def checks(self) -> bool:
        return self._check is not None

    async def check(self, new: Settings, *, timeout_s: float) -> None:
        """Raises what the check raises, DeadlineExceeded when it hangs."""
        check = self._check
        if check is not None:
            await self._bounded(lambda: check(at(new, self.prefix)), timeout_s)

    async def change(self, old: Settings, new: Settings, *, timeout_s: float) -> None:
        values = at(old, self.prefix), at(new, self.prefix)
        await self._bounded(lambda: self._on_change(*values), timeout_s)

    async def _bounded(self, call: Callable[[], object], timeout_s: float) -> None:
        if self._stuck is not None and not self._stuck.done():
            # Never two at once: the one that would not end blocks the next.
            raise DeadlineExceeded("the subscriber is still busy with an earlier change")
        # A function comes in, not its coroutine. With a coroutine, as it was at first, the refusal
        # above had to cancel one that had never run.
        begun = call()
        if not isawaitable(begun):
            return  # a plain function has ended, and needs no task to be waited for
        timeout_s = self._timeout_s or timeout_s
        task = asyncio.ensure_future(begun)
        # Not `wait_for`: it waits for a task that does not end when it is cancelled, without limit.
        # `wait` in turn leaves its task running, so whoever gives up cancels it.
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            await asyncio.wait({task}, timeout=_GRACE_S)
            if not task.done():
                self._stuck = task
                task.add_done_callback(_forget)
            elif not task.cancelled():
                task.exception()  # seen; the deadline is what is reported
            raise DeadlineExceeded(f"the subscriber took longer than {timeout_s:g} s")
        task.result()


class Subscriptions:
    """Of one process, in the order in which they were made."""

    def __init__(self) -> None:
        self._all: list[Subscription[Any]] = []
        self.prefixes: tuple[str, ...] = ()
        self.checks: tuple[str, ...] = ()
        """Those of `prefixes` whose subscriber can refuse beforehand."""

    def add(self, subscription: Subscription[Any]) -> Callable[[], None]:
        """Answers how to end it."""
        self._all.append(subscription)
        self._tell_apart()

        def end() -> None:
            self._all.remove(subscription)
            self._tell_apart()

        return end

    def _tell_apart(self) -> None:
        self.prefixes = tuple(dict.fromkeys(item.prefix for item in self._all))
        self.checks = tuple(dict.fromkeys(item.prefix for item in self._all if item.checks))

    def concerned(
        self, old: Settings, new: Settings, content: Snapshot | Changes | None
    ) -> list[Subscription[Any]]:
        """`content`, if there is one, says quicker where nothing differs."""
        return [
            item
            for item in self._all
            if (content is None or content.touches(item.prefix)) and item.differs(old, new)
        ]


async def outcomes(calls: Iterable[Awaitable[None]]) -> list[BaseException | None]:
    """Of all of them at once; None where nothing was raised."""
    started = list(calls)
    if not started:
        return []
    if len(started) == 1:
        # By far the most changes concern one subscriber of a process.
        try:
            await started[0]
        except Exception as exc:  # noqa: BLE001  it is the outcome
            return [exc]
        return [None]
    return await asyncio.gather(*started, return_exceptions=True)


def _forget(task: asyncio.Task[None]) -> None:
    """Its outcome comes too late for anybody; unread, asyncio would complain."""
    if not task.cancelled():
        task.exception()


def at(settings: Settings, prefix: str) -> Any:
    """The section or value at `prefix`; None for an entry of a mapping that is away."""
    value: Any = settings
    for part in prefix.split(".") if prefix else ():
        if isinstance(value, BaseModel):
            value = getattr(value, part)
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value


def exists(prefix: str) -> bool:
    return not prefix or schema.known(prefix) is not None or schema.is_branch(prefix)


def refusal(error: Exception) -> str:
    """What a subscriber's exception says, for operators."""
    if isinstance(error, EcapError):
        return error.detail
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
