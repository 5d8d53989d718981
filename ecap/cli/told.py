"""What a command did, told to the security log."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from ecap.clients import audit
from ecap.clients.audit import Producer
from ecap.clients.database import open_database
from ecap.config.settings.tree import Settings
from ecap.domain.events.audit import Action, AuditEntry
from ecap.errors import EcapError

T = TypeVar("T")


def told(
    producer: Producer,
    settings: Callable[[], Settings],
    act: Callable[[], T],
    entry: Callable[[T], AuditEntry],
) -> T:
    """Does it while a transaction is open that tells of it, as what it is done to is no database.

    Where no database can be had it is done all the same, and that is said: the password of the
    database itself may be what is to be put right.
    """
    return asyncio.run(_told(producer, settings, act, entry))


def who() -> str:
    """The login name of the shell."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"uid:{os.getuid()}"


def by_command(action: Action, *, subject: str, **details: Any) -> AuditEntry:
    return AuditEntry(
        action=action,
        outcome="done",
        actor=who(),
        actor_kind="command",
        subject=subject,
        details=details,
    )


async def _told(
    producer: Producer,
    settings: Callable[[], Settings],
    act: Callable[[], T],
    entry: Callable[[T], AuditEntry],
) -> T:
    failed: EcapError | None = None
    done: list[T] = []
    try:
        async with (
            open_database(await asyncio.to_thread(settings), service="cli") as pool,
            pool.transaction() as conn,
        ):
            try:
                done.append(await asyncio.to_thread(act))
            except EcapError as exc:
                failed = exc
            else:
                await audit.tell(conn, producer, entry(done[0]), now=datetime.now(UTC))
    except EcapError as exc:
        print(f"ecap: this is not in the security log: {exc}", file=sys.stderr)
        if not done and failed is None:
            done.append(await asyncio.to_thread(act))
    if failed is not None:
        raise failed
    return done[0]
