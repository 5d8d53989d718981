"""Password hashes: argon2id (RFC 9106), a few at a time and away from the event loop.

One hash costs about 20 MiB and 25 ms of a core; a flood of log ins is shed before
it takes the replica's memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ecap.config.settings.services.auth import Auth
from ecap.errors import Overloaded

R = TypeVar("R")
_THREADS = 2
_MOST_WAITING = 64


class Passwords:
    """`nobody` is hashed as the passwords are: to check it takes as long."""

    def __init__(self, hasher: PasswordHasher, threads: ThreadPoolExecutor, *, nobody: str) -> None:
        self._hasher = hasher
        self._threads = threads
        self._nobody = nobody
        self._waiting = 0

    async def reconfigure(self, settings: Auth) -> None:
        """For passwords hashed from now on; the others are hashed again at a log in."""
        hasher = _hasher(settings)
        if self.is_outdated(self._nobody, hasher):
            self._nobody = await _nobody(hasher, self._threads)
            self._hasher = hasher

    async def hash(self, password: str) -> str:
        """Raises Overloaded."""
        return await self._run(lambda: self._hasher.hash(password))

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Takes as long for None, an account that does not exist. Raises Overloaded."""
        right = await self._run(lambda: self._verify(hashed or self._nobody, password))
        return right and hashed is not None

    def is_outdated(self, hashed: str, hasher: PasswordHasher | None = None) -> bool:
        """Whether it was made with other parameters than today's."""
        return (hasher or self._hasher).check_needs_rehash(hashed)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], R]) -> R:
        if self._waiting >= _MOST_WAITING:
            raise Overloaded("too many log ins at once")
        self._waiting += 1
        future = self._threads.submit(work)
        loop = asyncio.get_running_loop()
        # Counted until it is done: a caller who gives up does not stop the thread.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        self._waiting -= 1


@asynccontextmanager
async def open_passwords(settings: Auth) -> AsyncIterator[Passwords]:
    hasher = _hasher(settings)
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")
    try:
        yield Passwords(hasher, threads, nobody=await _nobody(hasher, threads))
    finally:
        await asyncio.to_thread(threads.shutdown)


def _hasher(settings: Auth) -> PasswordHasher:
    return PasswordHasher(
        time_cost=settings.argon2_iterations,
        memory_cost=settings.argon2_memory_kib,
        parallelism=1,
    )


async def _nobody(hasher: PasswordHasher, threads: ThreadPoolExecutor) -> str:
    return await asyncio.wrap_future(threads.submit(hasher.hash, "the account of nobody"))
