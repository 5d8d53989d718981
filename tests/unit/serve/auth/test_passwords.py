"""Password hashing: equal work for known and unknown accounts, bounded."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest
from argon2 import PasswordHasher

from ecap.config.settings.services.auth import Auth
from ecap.errors import Overloaded
from ecap.serve.auth.passwords import Passwords, open_passwords

CHEAP = Auth(argon2_memory_kib=8192, argon2_iterations=1)


async def test_hash_and_compare() -> None:
    async with open_passwords(CHEAP) as passwords:
        hashed = await passwords.hash("right")
        assert hashed.startswith("$argon2id$")
        assert await passwords.matches("right", hashed)
        assert not await passwords.matches("wrong", hashed)
        assert not await passwords.matches("right", "not a hash")
        assert not passwords.is_outdated(hashed)


async def test_other_parameters_are_outdated() -> None:
    async with open_passwords(CHEAP) as passwords:
        other = PasswordHasher(time_cost=2, memory_cost=8192, parallelism=1).hash("right")
        assert passwords.is_outdated(other)


class Counting(PasswordHasher):
    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.compared: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
        self.compared.append(str(hash))
        return super().verify(hash, password)


async def test_nobody_costs_as_much_as_somebody() -> None:
    hasher = Counting()
    nobody = hasher.hash("nobody")
    with ThreadPoolExecutor(1) as threads:
        passwords = Passwords(hasher, threads, nobody=nobody)
        assert not await passwords.matches("nobody", None)
    assert hasher.compared == [nobody]


async def test_a_flood_is_shed() -> None:
    gate = threading.Event()

    class Slow(Counting):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            gate.wait(10)
            return "hash"

    with ThreadPoolExecutor(2) as threads:
        passwords = Passwords(Slow(), threads, nobody="")
        async with asyncio.TaskGroup() as group:
            held = [group.create_task(passwords.hash("x")) for _ in range(64)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await passwords.hash("x")
            gate.set()
        assert {task.result() for task in held} == {"hash"}
        assert await passwords.hash("x") == "hash"
