"""The front door, as a shopper's browser uses it."""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from ecap.demo.shoppers.latency import Meter
from ecap.errors import Unavailable

# Below what uvicorn keeps an idle connection for; see ecap.mesh.http.
_KEEPALIVE_S = 4.0
_TIMEOUT_S = 15.0
_CONNECTIONS = 256
_ELSEWHERE = int(IPv4Address("127.18.0.0"))
_ADDRESSES = 1 << 16


@dataclass(frozen=True)
class Answer:
    status: int
    document: Mapping[str, Any]
    retry_after_s: float

    @property
    def problem(self) -> str:
        """The last word of the problem's type, such as `conflict`."""
        return str(self.document.get("type", f"status {self.status}")).rpartition(":")[2]


class FrontDoor:
    def __init__(
        self, session: aiohttp.ClientSession, *, meter: Meter, closing: asyncio.Event
    ) -> None:
        self._session = session
        self._meter = meter
        self._closing = closing
        self.limited: Counter[str] = Counter()

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        token: str | None = None,
        key: str | None = None,
        params: Mapping[str, str] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> Answer:
        """Waits as long as 429 says and asks again, until the run is closing. Raises
        Unavailable without an answer."""
        headers = {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if key is not None:
            headers["Idempotency-Key"] = key
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else msgspec.json.encode(body)
        while True:
            answer = await self._once(
                method, path, data=data, headers=headers, params=params, timeout_s=timeout_s
            )
            if answer.status != 429 or self.closing:
                return answer
            self.limited[path] += 1
            await self.pause(answer.retry_after_s)

    async def pause(self, seconds: float) -> None:
        """Cut short when the run is closing."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _once(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None,
        timeout_s: float,
    ) -> Answer:
        started = time.monotonic()
        try:
            async with self._session.request(
                method,
                path,
                data=data,
                headers=headers,
                params=params,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as response:
                content = await response.read()
                answer = Answer(
                    response.status, _document(content), _retry_after_s(response.headers)
                )
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise Unavailable(f"{method} {path}: {type(exc).__name__}") from exc
        now = time.monotonic()
        is_order = method == "POST" and path == "/api/v1/orders"
        self._meter.add(now - started, answer.status, is_order=is_order, now=now)
        return answer


def _document(content: bytes) -> Mapping[str, Any]:
    if not content:
        return {}
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError:
        return {"text": content.decode(errors="replace")}


def _retry_after_s(headers: Mapping[str, str]) -> float:
    try:
        return min(60.0, max(0.05, float(headers.get("Retry-After", "1"))))
    except ValueError:
        return 1.0


def _from_somewhere(found: aiohttp.AddrInfoType) -> socket.socket:
    """Each connection from another address, or all shoppers would be one client to the rate
    limits. All of 127.0.0.0/8 is this machine to Linux; what a header says is not believed."""
    family, kind, protocol, _, _ = found
    made = socket.socket(family, kind, protocol)
    try:
        made.bind((str(IPv4Address(_ELSEWHERE + secrets.randbelow(_ADDRESSES))), 0))
    except OSError:
        made.close()
        raise
    return made


@asynccontextmanager
async def open_door(
    base_url: str, *, meter: Meter, closing: asyncio.Event
) -> AsyncIterator[FrontDoor]:
    here = sys.platform == "linux" and URL(base_url).host == "127.0.0.1"
    connector = aiohttp.TCPConnector(
        limit=_CONNECTIONS,
        keepalive_timeout=_KEEPALIVE_S,
        socket_factory=_from_somewhere if here else None,
    )
    async with aiohttp.ClientSession(base_url, connector=connector) as session:
        yield FrontDoor(session, meter=meter, closing=closing)
