"""HTTP load: `wrk` where it is installed, else a small generator of our own.

The generator shares the cores with what is measured, in every column alike. wrk
takes a fifth of a core where ours takes a whole one, so its ratios are the fairer.
"""

from __future__ import annotations

import asyncio
import math
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import uvloop

_WRK_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_WRK_BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_WRK_LATENCY = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)$", re.MULTILINE)
_UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """`failed` are answers other than 2xx."""

    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int


@dataclass
class Timed:
    times_s: list[float]
    failed: int


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted values."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


def closed_loop(
    url: str, *, headers: Mapping[str, str], seconds: float, connections: int = 16
) -> Load:
    """As many requests as `connections` take one after another."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return uvloop.run(_closed(url, headers, seconds, connections))
    command = [wrk, "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", "--latency"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    done = subprocess.run([*command, url], capture_output=True, text=True, check=True)  # noqa: S603
    latency = {m[1]: float(m[2]) * _UNIT_MS[m[3]] for m in _WRK_LATENCY.finditer(done.stdout)}
    rate, bad = _WRK_RATE.search(done.stdout), _WRK_BAD.search(done.stdout)
    assert rate is not None
    return Load(float(rate[1]), latency["50"], latency["99"], int(bad[1]) if bad else 0)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> int:
        """The status; the body is read and thrown away."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if length:
            await self._reader.readexactly(int(length[1]))
        return int(head[9:12])

    def close(self) -> None:
        self._writer.close()


async def _open(url: str) -> _Connection:
    parts = urlsplit(url)
    return _Connection(*await asyncio.open_connection(parts.hostname, parts.port))


def _request(url: str, headers: Mapping[str, str], *, method: str, body: bytes) -> bytes:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _closed(url: str, headers: Mapping[str, str], seconds: float, connections: int) -> Load:
    request = _request(url, headers, method="GET", body=b"")
    times: list[float] = []
    failed = 0
    started = time.perf_counter()
    until = started + seconds

    async def one() -> None:
        nonlocal failed
        connection = await _open(url)
        while (begun := time.perf_counter()) < until:
            status = await connection.ask(request)
            times.append(time.perf_counter() - begun)
            failed += not 200 <= status < 300
        connection.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    times.sort()
    return Load(
        len(times) / (time.perf_counter() - started),
        percentile(times, 0.5) * 1000,
        percentile(times, 0.99) * 1000,
        failed,
    )


async def open_loop(
    url: str,
    bodies: Sequence[bytes],
    *,
    headers: Mapping[str, str],
    per_s: float,
    connections: int = 32,
) -> Load:
    """POST the bodies at a fixed rate."""
    started = time.perf_counter()
    requests = [_request(url, headers, method="POST", body=body) for body in bodies]
    found = await at_rate(url, requests, per_s=per_s, connections=connections)
    took = time.perf_counter() - started
    found.times_s.sort()
    return Load(
        len(bodies) / took,
        percentile(found.times_s, 0.5) * 1000,
        percentile(found.times_s, 0.99) * 1000,
        found.failed,
    )


async def get_at_rate(url: str, *, per_s: float, seconds: float, connections: int = 32) -> Timed:
    request = _request(url, {}, method="GET", body=b"")
    return await at_rate(
        url, [request] * int(per_s * seconds), per_s=per_s, connections=connections
    )


async def at_rate(url: str, requests: Sequence[bytes], *, per_s: float, connections: int) -> Timed:
    """Latency counts from when each was due, so that a stall is not hidden by the requests
    it holds back (coordinated omission)."""
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    found = Timed([], 0)

    async def worker() -> None:
        connection = await _open(url)
        while True:
            due, request = await queue.get()
            status = await connection.ask(request)
            found.times_s.append(time.perf_counter() - due)
            found.failed += not 200 <= status < 300
            queue.task_done()

    workers = [asyncio.create_task(worker(), name=f"load-{i}") for i in range(connections)]
    started = time.perf_counter()
    for i, request in enumerate(requests):
        due = started + i / per_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        queue.put_nowait((due, request))
    await queue.join()
    for task in workers:
        task.cancel()
    return found
