"""The brake on guessing, in PostgreSQL: it holds over all replicas, and over their restarts."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from ecap import logs
from ecap.clients import outbox
from ecap.clients.postgres import Connection, Pool, Record
from ecap.clients.queries import load_queries
from ecap.config.settings.services.auth import Auth
from ecap.domain.accounts.guesses import Brake, Ruling, Tallies, Tally
from ecap.domain.events.envelope import new_event
from ecap.domain.events.users import PasswordGuessed
from ecap.errors import RateLimited
from ecap.mesh import current
from ecap.serve.auth.people import People
from ecap.serve.edge.limits import client_of

_SQL = load_queries(__package__)
_log = logs.get("ecap.auth")


class Try(NamedTuple):
    """Keys of the tallies that a try counts for."""

    account: bytes
    address: bytes
    pair: bytes


class Guesses:
    def __init__(self, pool: Pool, people: People, settings: Auth) -> None:
        self._pool = pool
        self._people = people
        self.reconfigure(settings)

    def reconfigure(self, settings: Auth) -> None:
        """For tries from now on; who waits, waits as long as he was told."""
        self._brake = Brake(free=settings.free_guesses, longest_s=settings.guess_pause_max_s)

    async def begin(self, email: str, address: str, *, owner: UUID | None) -> Try:
        """Before a password is compared. `owner` has the account with the e-mail, None when
        there is none, which is counted as well. Raises RateLimited."""
        keys = await self._keys(email, address)
        async with self._pool.transaction() as conn:
            await conn.execute(_SQL["forget_guesses"])
            found, now = await _locked(conn, keys)
            ruling = self._brake.tried(found, now)
            if ruling.tallies is found:
                raise _slower(ruling)
            await _keep(conn, keys, ruling.tallies)
            if ruling.tell and owner is not None:
                await _tell(conn, owner, ruling, now=now)
        # After the transaction: that somebody was told to wait has to be committed.
        if ruling.wait_s > 0:
            raise _slower(ruling)
        return keys

    async def right(self, keys: Try) -> None:
        """The password was the right one."""
        async with self._pool.transaction() as conn:
            found, now = await _locked(conn, keys)
            await _keep(conn, keys, self._brake.right(found, now))

    async def withdraw(self, keys: Try) -> None:
        """No password was compared: a flood must not use up the tries of others."""
        async with self._pool.transaction() as conn:
            found, now = await _locked(conn, keys)
            await _keep(conn, keys, self._brake.withdrawn(found, now))

    async def _keys(self, email: str, address: str) -> Try:
        account = await self._people.hash(email)
        client = await self._people.hash_address(client_of(address))
        return Try(account, client, hashlib.sha256(account + client).digest())


async def _locked(conn: Connection, keys: Try) -> tuple[Tallies, datetime]:
    """And when that was, by the one clock that all replicas share: by their own, who was counted
    second might have come first."""
    await conn.execute(_SQL["begin_guesses"], list(keys))
    rows = {row["key"]: row for row in await conn.fetch(_SQL["guesses"], list(keys))}
    now: datetime = await conn.fetchval(_SQL["now"])
    return Tallies(*(_tally(rows[key]) for key in keys)), now


def _tally(row: Record) -> Tally:
    return Tally(row["failures"], row["at"], row["next_at"], row["right_at"], row["told_at"])


async def _keep(conn: Connection, keys: Try, tallies: Tallies) -> None:
    rows = [
        (key, one.failures, one.at, one.next_at, one.right_at, one.told_at, one.forget_at())
        for key, one in zip(keys, (tallies.account, tallies.address, tallies.pair), strict=True)
    ]
    await conn.execute(_SQL["count_guesses"], *(list(column) for column in zip(*rows, strict=True)))


async def _tell(conn: Connection, owner: UUID, ruling: Ruling, *, now: datetime) -> None:
    failures = round(ruling.tallies.account.failures)
    _log.warning("passwords are guessed", extra={"user_id": str(owner), "failures": failures})
    event = new_event(
        PasswordGuessed(user_id=owner, failures=failures),
        key=str(owner),
        producer="auth",
        now=now,
        traceparent=current().trace.traceparent,
    )
    await outbox.append(conn, "auth", "accounts", [event])


def _slower(ruling: Ruling) -> RateLimited:
    return RateLimited("too many wrong passwords; wait", retry_after_s=ruling.wait_s)
