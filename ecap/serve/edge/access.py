"""What is kept of every request: a log line and its metrics, written in batches.

A line and its samples cost more than the rest of the edge when each is written by
itself; together, twenty times a second, they hardly show. A killed replica loses the
lines of its last 50 ms, never more.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from http import HTTPMethod
from typing import NamedTuple

from ecap import logs, metrics
from ecap.serve.edge.recent import Recent

_FLUSH_S = 0.05
# So that writing them never holds up a request for more than about a millisecond.
_FLUSH_LINES = 32
_METHODS = frozenset(HTTPMethod)


class Access(NamedTuple):
    at: float
    method: str
    path: str
    route: str
    status: int
    seconds: float
    address: str
    request_id: str
    trace_id: str
    principal: str


class AccessLog:
    def __init__(self, service: str) -> None:
        self._service = service
        self._pending: list[Access] = []
        self._in_flight = metrics.http_in_flight.labels(service)
        self.in_flight = 0
        self.recent = Recent()

    def add(self, access: Access) -> None:
        """Needs a running loop: the first of a batch sets the time of its writing."""
        self._pending.append(access)
        if len(self._pending) == 1:
            asyncio.get_running_loop().call_later(_FLUSH_S, self.flush)
        elif len(self._pending) >= _FLUSH_LINES:
            self.flush()

    def flush(self) -> None:
        self._in_flight.set(self.in_flight)
        if not self._pending:
            return
        done, self._pending = self._pending, []
        self._count(done)
        logs.write_lines(
            "ecap.http",
            (
                (
                    one.at,
                    f"{one.method} {_on_one_line(one.path)} {one.status}",
                    {
                        "ms": round(one.seconds * 1000, 2),
                        "address": one.address,
                        "request_id": one.request_id,
                        "trace_id": one.trace_id,
                        "principal": one.principal,
                    },
                )
                for one in done
            ),
        )

    def _count(self, done: list[Access]) -> None:
        # Whoever sends made-up methods must not make up time series.
        kinds = Counter(
            (one.route, one.method if one.method in _METHODS else "other", one.status)
            for one in done
        )
        failed = sum(count for (_, _, status), count in kinds.items() if status >= 500)
        self.recent.add(len(done), failed)
        for (route, method, status), count in kinds.items():
            metrics.http_requests.labels(self._service, route, method, str(status)).inc(count)
            if status == 429:
                metrics.rate_limited.labels(self._service, "request").inc(count)
        routes = {route for route, _, _ in kinds}
        seconds = {route: metrics.http_seconds.labels(self._service, route) for route in routes}
        for one in done:
            seconds[one.route].observe(one.seconds)


def _on_one_line(path: str) -> str:
    return path if path.isprintable() else ascii(path)
