"""Whose access has ended, known in every replica within a second.

`auth` writes it to PostgreSQL in the transaction that ends the access; each replica asks
for what is new there, over the pool that it has anyway. `LISTEN` would take a connection
of its own in each, which neither a leased user nor a pooler in between keeps, and would
still have to ask after each loss; by the hub, a log-out would need the hub to be alive.
A request costs two look-ups in dicts.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from ecap import logs
from ecap.clients.postgres import Connection, Pool, Record
from ecap.clients.queries import load_queries
from ecap.errors import Unavailable
from ecap.mesh.identity import Principal

_SQL = load_queries(__package__)
_log = logs.get("ecap.access")
_LOCK = 0x45434150_0003
_BATCH = 1000
# What hangs is asked again on another connection.
_PATIENCE_S = 2.0
_PURGE_S = 60.0
# The longest `auth.access_ttl_s` and `auth.clock_skew_s`.
LONGEST_ACCESS = timedelta(days=1)
LONGEST_SKEW = timedelta(seconds=300)


class Revocations:
    """What one replica has heard. Entries go when the last token they end has expired."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._subjects: dict[str, tuple[int, float]] = {}
        self._sessions: dict[str, float] = {}
        self._seen = 0
        self._heard_at = -math.inf
        self._purge_at = 0.0
        self._came = asyncio.Event()
        self._tried = asyncio.Event()

    def __len__(self) -> int:
        return len(self._subjects) + len(self._sessions)

    @property
    def silence_s(self) -> float:
        """Since it was heard last; infinite before the first time."""
        return self._monotonic() - self._heard_at

    def has_ended(self, principal: Principal) -> bool:
        if principal.session in self._sessions:
            return True
        found = self._subjects.get(principal.subject)
        return found is not None and principal.epoch < found[0]

    def require(self, principal: Principal, *, trust_s: float = math.inf) -> None:
        """Raises Unavailable when nothing has been heard for longer, or ever: nobody knows
        then whose access goes on."""
        silence_s = self.silence_s
        if principal.kind == "user" and (silence_s == math.inf or silence_s > trust_s):
            raise Unavailable("whose access has ended cannot be had")

    async def end_of(self, principal: Principal) -> None:
        """Returns when the access ends."""
        while not self.has_ended(principal):
            await self._came.wait()

    async def tried(self) -> None:
        """Returns when it has been asked once, heard or not."""
        await self._tried.wait()

    async def run(self, pool: Pool, *, poll_s: Callable[[], float]) -> None:
        """Never ends by itself."""
        deaf = False
        while True:
            try:
                await self.hear(pool)
                deaf = False
            except Exception as exc:  # noqa: BLE001  who stops asking never hears again
                if not deaf:
                    _log.warning("whose access has ended cannot be had", extra={"error": repr(exc)})
                deaf = True
            self._tried.set()
            await asyncio.sleep(poll_s())

    async def hear(self, pool: Pool) -> None:
        full = True
        while full:
            asked_at = self._monotonic()
            async with asyncio.timeout(_PATIENCE_S):
                rows = await pool.fetch(_SQL["revocations"], self._seen, _BATCH)
            self._take(rows)
            full = len(rows) == _BATCH
        self._heard_at = asked_at

    def _take(self, rows: list[Record]) -> None:
        if self._clock() >= self._purge_at:
            self._purge()
        if rows[0]["newest"] < self._seen:
            # With the database of an earlier time the epochs are earlier ones, too.
            self._subjects.clear()
            self._sessions.clear()
            self._seen = 0
        if rows[0]["seq"] is None:
            return
        for row in rows:
            until = row["until"].timestamp()
            if row["subject"] is None:
                self._sessions[row["session_id"]] = until
            else:
                self._subjects[row["subject"]] = (row["epoch"], until)
        self._seen = rows[-1]["seq"]
        came, self._came = self._came, asyncio.Event()
        came.set()

    def _purge(self) -> None:
        now = self._clock()
        self._purge_at = now + _PURGE_S
        self._subjects = {who: one for who, one in self._subjects.items() if one[1] > now}
        self._sessions = {sid: until for sid, until in self._sessions.items() if until > now}


async def end_account(conn: Connection, subject: str, *, epoch: int, now: datetime) -> None:
    """Ends what was issued before `epoch`. The last statements of their transaction, as
    all others that end something wait for its commit."""
    await _end(conn, subject, epoch, None, until=now + LONGEST_ACCESS + LONGEST_SKEW, now=now)


async def end_session(
    conn: Connection, session_id: str, *, access_until: datetime, now: datetime
) -> None:
    """As `end_account`, of one session, whose last access token expires at `access_until`."""
    until = access_until + LONGEST_SKEW
    if until > now:
        await _end(conn, None, None, session_id, until=until, now=now)


async def _end(
    conn: Connection,
    subject: str | None,
    epoch: int | None,
    session_id: str | None,
    *,
    until: datetime,
    now: datetime,
) -> None:
    await conn.execute(_SQL["one_revocation"], _LOCK)
    await conn.execute(_SQL["forget_revocations"], now)
    await conn.execute(_SQL["revoke"], subject, epoch, session_id, until)
