"""Loopback ports for servers: what was used last time, else the usual one, else a free one."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping

from ecap.errors import Unavailable

LOOPBACK = "127.0.0.1"
# Below the kernel's ephemeral range, and clear of the replica ports that Ray forces (30000-31000).
_SPARE = range(20000, 29000)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(
    usual: Mapping[str, int], *, remembered: Mapping[str, int], rng: random.Random | None
) -> dict[str, int]:
    """One free port a name. With `rng`, spare ports only: for runs beside others, as in tests."""
    chosen: dict[str, int] = {}
    for name, port in usual.items():
        wanted = [remembered[name]] if name in remembered else []
        if rng is None:
            wanted += [port, *range(port + 1, port + 10)]
        chosen[name] = _first_free([*wanted, *_spare(rng)], taken=chosen.values())
    return chosen


def _spare(rng: random.Random | None) -> list[int]:
    source = rng or random.Random()  # noqa: S311  ports are no secret
    return source.sample(_SPARE, 50)


def _first_free(candidates: Iterable[int], *, taken: Iterable[int]) -> int:
    used = set(taken)
    for port in candidates:
        if port not in used and is_free(port):
            return port
    raise Unavailable("no free port on 127.0.0.1")
