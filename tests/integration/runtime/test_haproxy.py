"""Ray's HAProxy, corrected by us: its own template, the real program, a real upstream."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions

from ecap.local.process import ports
from ecap.runtime import haproxy


def rendered(folder: Path, *, front: int, upstream: int) -> Path:
    """What Ray itself would write for one application."""
    config = HAProxyConfig(
        socket_path=str(folder / "admin.sock"),
        server_state_base=str(folder),
        server_state_file=str(folder / "state"),
        stats_port=front + 1,
        metrics_port=front + 2,
        metrics_enabled=False,
        has_received_routes=True,
        has_received_servers=True,
        http_options=HTTPOptions(host="127.0.0.1", port=front),
    )
    backend = BackendConfig(
        name="http-orders",
        path_prefix="/orders",
        app_name="orders",
        servers=[ServerConfig(name="replica", host="127.0.0.1", port=upstream)],
    )
    path = folder / "haproxy.cfg"
    api = HAProxyApi(config, {"http-orders": backend}, str(path))
    api._generate_config_file_internal()
    return path


@contextmanager
def proxy(folder: Path, *, front: int, upstream: int) -> Iterator[psutil.Process]:
    config = rendered(folder, front=front, upstream=upstream)
    wrapper = folder / "our haproxy.sh"
    haproxy.install(wrapper, loopback=True)
    process = subprocess.Popen([wrapper, "-db", "-f", config], stderr=subprocess.PIPE)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=10)
        assert b"parsing [" not in errors


@asynccontextmanager
async def upstream(port: int, seen: list[bytes]) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            b"HTTP/1.1 200 OK\r\nserver: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield


async def until_answered(client: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    async with asyncio.timeout(15):
        while True:
            try:
                response = await client.get(path)
            except httpx.TransportError:
                await asyncio.sleep(0.02)
                continue
            if response.status_code == status:
                return response
            await asyncio.sleep(0.02)


@pytest.fixture
def chosen() -> tuple[int, int]:
    while True:
        front = ports.choose({"front": 0}, remembered={}, rng=random.Random())["front"]
        if ports.is_free(front + 1) and ports.is_free(front + 2) and ports.is_free(front + 3):
            return front, front + 3


async def test_the_address_of_the_caller_reaches_the_replica(
    tmp_path: Path, chosen: tuple[int, int]
) -> None:
    front, behind = chosen
    seen: list[bytes] = []
    with proxy(tmp_path, front=front, upstream=behind):
        async with (
            upstream(behind, seen),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}") as client,
        ):
            answer = await until_answered(client, "/orders", 200)
    assert any(b"x-forwarded-for: 127.0.0.1" in head.lower() for head in seen)
    # Nor does it come out which server the replica runs in.
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([], False),
        (["a-1.b:c_d"], True),
        (['a"}, {"b'], False),
        (["x" * 129], False),
        (["one", "two"], False),
        (["one, two"], False),
    ],
)
async def test_a_request_has_one_well_formed_id(
    tmp_path: Path, chosen: tuple[int, int], given: list[str], kept: bool
) -> None:
    front, behind = chosen
    seen: list[bytes] = []
    headers = [("x-request-id", value) for value in given]
    with proxy(tmp_path, front=front, upstream=behind):
        async with (
            upstream(behind, seen),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}", headers=headers) as client,
        ):
            await until_answered(client, "/orders", 200)
    # Between ours come HAProxy's own, to see whether the replica is well.
    [request, *_] = [head for head in seen if head.startswith(b"GET /orders ")]
    [found] = re.findall(rb"(?im)^x-request-id: (.*)\r$", request)
    assert found.decode() in given if kept else re.fullmatch(rb"[0-9a-f-]{36}", found)
    assert b"\r\nx-request-disconnect-disabled: ?1\r\n" in request


async def test_failures_are_problems_with_the_right_status(
    tmp_path: Path, chosen: tuple[int, int]
) -> None:
    front, behind = chosen
    with proxy(tmp_path, front=front, upstream=behind):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}") as client:
            missing = await until_answered(client, "/nowhere", 404)
            away = await until_answered(client, "/orders", 503)
    for response in (missing, away):
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
    assert away.headers["retry-after"] == "1"
    assert away.json()["type"] == "urn:ecap:problem:unavailable"


async def test_nothing_listens_beyond_loopback(tmp_path: Path, chosen: tuple[int, int]) -> None:
    front, behind = chosen
    with proxy(tmp_path, front=front, upstream=behind) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}") as client:
            await until_answered(client, "/nowhere", 404)
        listening = {
            (socket.laddr.ip, socket.laddr.port)
            for socket in process.net_connections(kind="tcp")
            if socket.status == psutil.CONN_LISTEN
        }
    assert listening == {("127.0.0.1", front + offset) for offset in range(3)}


def test_rewriting_twice_changes_nothing_more(tmp_path: Path) -> None:
    config = rendered(tmp_path, front=20100, upstream=20101).read_text()
    once = haproxy.rewrite(config, errors=tmp_path, loopback=True)
    assert haproxy.rewrite(once, errors=tmp_path, loopback=True) == once
    assert once != config


def test_a_template_that_has_changed_is_refused(tmp_path: Path) -> None:
    config = rendered(tmp_path, front=20100, upstream=20101).read_text()
    with pytest.raises(ValueError, match="no part like"):
        haproxy.rewrite(config.replace("option httplog", ""), errors=tmp_path, loopback=True)
