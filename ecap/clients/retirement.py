"""What still needs a key that is about to be retired. Nothing is ever stranded: a key goes
when every value is under another one, and nobody can write with it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ecap.clients import rotation
from ecap.clients.config_history import PostgresHistory
from ecap.clients.postgres import Pool
from ecap.config.hub import accepted, states
from ecap.config.secrets import rotation as entries
from ecap.config.secrets.keyring.ring import Keyring
from ecap.errors import Conflict

_POLL_S = 0.1
_PATIENCE_S = 60.0


async def settled(
    ring: Keyring, *, trust_s: float, now: float, wait: Callable[[str], None]
) -> None:
    """Returns when no process can encrypt with an older key any more.

    Raises Conflict with the time when that is too far off to wait for.
    """
    # The age tells since when it encrypts, because `rotate-keys` makes and promotes a key at once.
    age_s = ring.age_s(now=now)
    first = ring.primary.id
    if age_s is None:
        raise Conflict(f"the age of key {first} is not known; `ecap secrets rotate-keys` first")
    left_s = trust_s - age_s
    if left_s > _PATIENCE_S:
        raise Conflict(
            f"until keyring.trust_s has passed, a process may not have heard of key {first};"
            f" `ecap secrets rotate-keys --resume --retire` in {left_s / 60:.0f} minutes"
        )
    if left_s > 0:
        wait(f"waiting {left_s:.0f} s until every process has heard of key {first}")
        await asyncio.sleep(left_s)


async def arrived(pool: Pool) -> None:
    """Waits for the registrations that are on their way through the streams: they carry
    what they were sealed with. Raises Conflict naming the pipelines they wait for."""
    # Once, and after `settled`: what is written later is under the new key. An end that moved along
    # would never be reached.
    ends = await rotation.on_their_way(pool)
    late: Sequence[str] = ()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while late := await rotation.not_arrived(pool, ends):  # noqa: ASYNC110  in PostgreSQL
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise Conflict(
            f"registrations are on their way to {', '.join(late)}; is `ecap up` running?"
        ) from None


async def refuse(
    ring: Keyring, *, pool: Pool | None, files: Sequence[Path], environ: Mapping[str, str]
) -> None:
    """Raises Conflict naming every place that the first key alone does not open."""
    found = [*_in_files(files, ring), *_in_environment(environ, ring)]
    if pool is not None:
        renewed = {str(path) for path in files}
        found += [
            (place, remedy)
            for place, remedy in await _in_history(pool, ring)
            # The hub has the file as it was until it reads it again.
            if not any(place.partition(" in ")[2].startswith(path) for path in renewed)
        ]
    if found:
        told = "; ".join(f"{place}: {remedy}" for place, remedy in found)
        raise Conflict(f"an older key is still needed, nothing was retired. {told}")


def _in_files(files: Sequence[Path], ring: Keyring) -> Iterator[tuple[str, str]]:
    for path in files:
        if entries.outdated(path.read_text(), ring):
            yield f"the file {path}", "it cannot be written; encrypt its values again yourself"


def _in_environment(environ: Mapping[str, str], ring: Keyring) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("ECAP__") and entries.outdated(value, ring):
            remedy = "set what `ecap secrets put --enc` prints, and restart"
            yield f"the environment variable {name}", remedy


async def _in_history(pool: Pool, ring: Keyring) -> list[tuple[str, str]]:
    history = PostgresHistory(pool)
    last = await pool.fetchval("SELECT max(version) FROM config.states")
    token = None if last is None else await history.state(last)
    if token is None:
        return []
    where = f"configuration version {last}"
    return list(states.outdated(accepted.unpack(token, ring, where=where), ring))
