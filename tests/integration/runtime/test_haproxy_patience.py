"""How long, and for how many, the front door waits: half-open sockets at the real program."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from integration.runtime.running_haproxy import (
    four_ports,
    proxy,
    rendered,
    until_answered,
    upstream,
)

from ecap.runtime import haproxy

SHORT = {"timeout client": "1s", "timeout http-request": "1s"}


@pytest.fixture
def chosen() -> tuple[int, int]:
    return four_ports()


def client_of(front: int, source: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(local_address=source)
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}", transport=transport)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /orders HTTP/1.1\r\nhost: x\r\nx-slow: ",
        b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n{",
        b"POST /orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n64\r\n{",
    ],
)
async def test_half_of_a_request_is_waited_for_a_moment(
    tmp_path: Path, chosen: tuple[int, int], sent: bytes
) -> None:
    front, behind = chosen
    seen: list[bytes] = []
    with proxy(tmp_path, front=front, upstream=behind, times=SHORT):
        async with upstream(behind, seen), client_of(front) as client:
            await until_answered(client, "/orders", 200)
            reader, writer = await asyncio.open_connection("127.0.0.1", front)
            writer.write(sent)
            answering = asyncio.create_task(reader.read())
            for _ in range(30):
                done, _ = await asyncio.wait({answering}, timeout=0.1)
                if done:
                    break
                writer.write(sent and b"x")  # a byte now and then buys no time
            assert answering.done()
            answer = await answering
            writer.close()
            assert (await client.get("/orders")).status_code == 200
    assert answer.startswith(b"HTTP/1.1 408 ")
    # What is no request yet gets HAProxy's own text, as its 400.
    assert (b"urn:ecap:problem:request-timeout" in answer) == sent.startswith(b"POST")
    assert not any(b"POST" in head for head in seen)


def test_what_is_meant_is_written(tmp_path: Path) -> None:
    config = rendered(tmp_path, front=20100, upstream=20101).read_text()
    found = haproxy.rewrite(config, errors=tmp_path, loopback=True, trusted=["::1/128"])
    assert "    timeout client 60s\n    timeout http-request 10s\n" in found
    assert "3600" not in found


def half_open(stack: ExitStack, front: int, source: str, count: int) -> list[socket.socket]:
    found = []
    for _ in range(count):
        one = stack.enter_context(
            socket.create_connection(("127.0.0.1", front), source_address=(source, 0))
        )
        with suppress(ConnectionError):  # it is refused already
            one.sendall(b"GET /orders HTTP/1.1\r\nhost: x\r\n")
        one.setblocking(False)
        found.append(one)
    return found


def is_open(one: socket.socket) -> bool:
    try:
        return one.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


async def test_nobody_takes_more_than_a_share(tmp_path: Path, chosen: tuple[int, int]) -> None:
    front, behind = chosen
    with proxy(tmp_path, front=front, upstream=behind, maxconn=80), ExitStack() as stack:
        async with (
            upstream(behind, []),
            client_of(front, "127.0.0.3") as other,
            client_of(front) as balancer,
        ):
            await until_answered(other, "/orders", 200)
            greedy = half_open(stack, front, "127.0.0.2", 100)
            async with asyncio.timeout(5):
                while sum(map(is_open, greedy)) > 20:  # noqa: ASYNC110  nothing tells
                    await asyncio.sleep(0.02)
            assert (await other.get("/orders", timeout=2)).status_code == 200
            assert sum(map(is_open, greedy)) == 20
            # A load balancer carries everybody.
            trusted = half_open(stack, front, "127.0.0.1", 30)
            assert (await balancer.get("/orders", timeout=2)).status_code == 200
            assert all(map(is_open, trusted))


@asynccontextmanager
async def stream(port: int, silences_s: tuple[float, ...]) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for silence_s in silences_s:
            await asyncio.sleep(silence_s)
            writer.write(b"data: x\n\n")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield


async def test_an_event_stream_outlives_every_patience(
    tmp_path: Path, chosen: tuple[int, int]
) -> None:
    front, behind = chosen
    with proxy(tmp_path, front=front, upstream=behind, times=SHORT):
        async with stream(behind, (0.1, 0.5, 0.5, 0.5, 2.5, 0.5)), client_of(front) as client:
            async with asyncio.timeout(15):
                while True:
                    try:
                        answer = await client.get("/orders", timeout=10)
                    except httpx.TransportError:
                        await asyncio.sleep(0.05)
                        continue
                    if answer.status_code == 200:
                        break
    assert answer.text == "data: x\n\n" * 6


async def test_a_client_that_keeps_its_connection_may_pause(
    tmp_path: Path, chosen: tuple[int, int]
) -> None:
    front, behind = chosen
    with proxy(tmp_path, front=front, upstream=behind, times=SHORT):
        async with upstream(behind, []), client_of(front) as client:
            await until_answered(client, "/orders", 200)
        async with upstream(behind, []):
            reader, writer = await asyncio.open_connection("127.0.0.1", front)
            for pause_s in (0.0, 2.5):
                await asyncio.sleep(pause_s)
                writer.write(b"GET /orders HTTP/1.1\r\nhost: x\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 "), head
                assert await reader.readexactly(2) == b"ok"
            writer.close()
