"""Failed log-ins in the security log, without becoming a way to fill the disk.

Of an account, the first failures of an hour are told one by one, then every doubling
of their number: a million are some twenty entries, and each says how many there were.
E-mails without an account are counted by address, and all of them together again.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from ecap.clients.postgres import Connection, Pool
from ecap.clients.queries import load_queries
from ecap.domain.events.audit import Action, Outcome
from ecap.mesh import current
from ecap.serve.auth import audit
from ecap.serve.auth.people import People

_SQL = load_queries(__package__)
_OF_ACCOUNT = 5
_OF_ADDRESS = 20
_OF_ALL = 500
# Addresses that share a slot are told as one; with a row for each, addresses would fill the table.
_SLOTS = 4096
Reason = Literal["password", "disabled"]
_OUTCOMES: Mapping[Reason, Outcome] = {"password": "failed", "disabled": "refused"}


class Failures:
    def __init__(self, pool: Pool, people: People) -> None:
        self._pool = pool
        self._people = people

    async def of_account(
        self, user_id: UUID, reason: Reason, *, now: datetime, action: Action = "login"
    ) -> None:
        async with self._pool.transaction() as conn:
            count = await _count(conn, f"account:{user_id}", now)
            if is_told(count, _OF_ACCOUNT):
                details = {"reason": reason, "in_this_hour": count}
                outcome = _OUTCOMES[reason]
                entry = audit.told(action, outcome, subject=user_id, details=details)
                await audit.tell(conn, entry, now=now)

    async def of_nobody(self, email: str, *, now: datetime) -> None:
        """An e-mail without an account, told by its keyed hash."""
        subject = "email:" + (await self._people.hash(email)).hex()
        slot = zlib.crc32(current().address.encode()) % _SLOTS
        async with self._pool.transaction() as conn:
            count = await _count(conn, f"address:{slot}", now)
            # In this order, so that one noisy address does not use up what is told of all.
            if not is_told(count, _OF_ADDRESS):
                return
            if is_told(await _count(conn, "unknown", now), _OF_ALL):
                details = {"reason": "unknown", "in_this_hour": count}
                entry = audit.told("login", "failed", subject=subject, details=details)
                await audit.tell(conn, entry, now=now)


def is_told(count: int, singly: int) -> bool:
    """The first of an hour, and then `singly` times 2, 4, 8 ..."""
    doublings, rest = divmod(count, singly)
    return count <= singly or (rest == 0 and doublings & (doublings - 1) == 0)


async def _count(conn: Connection, slot: str, now: datetime) -> int:
    hour = now.replace(minute=0, second=0, microsecond=0)
    return int(await conn.fetchval(_SQL["count_failure"], slot, hour))
