"""Ray's own template, corrected by us, in the real program."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import psutil
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions

from ecap.local.process import ports
from ecap.runtime import haproxy

LOOPBACK = ("127.0.0.1/32",)


def rendered(
    folder: Path, *, front: int, upstream: int, known: bool = True, maxconn: int = 400
) -> Path:
    """What Ray itself would write for one application, or before it is told of any."""
    config = HAProxyConfig(
        socket_path=str(folder / "admin.sock"),
        server_state_base=str(folder),
        server_state_file=str(folder / "state"),
        stats_port=front + 1,
        metrics_port=front + 2,
        metrics_enabled=False,
        maxconn=maxconn,
        nbthread=1,
        has_received_routes=known,
        has_received_servers=known,
        http_options=HTTPOptions(host="127.0.0.1", port=front),
    )
    backend = BackendConfig(
        name="http-orders",
        path_prefix="/orders",
        app_name="orders",
        servers=[ServerConfig(name="replica", host="127.0.0.1", port=upstream)],
    )
    path = folder / "haproxy.cfg"
    backends = {"http-orders": backend} if known else {}
    HAProxyApi(config, backends, str(path))._generate_config_file_internal()
    return path


@contextmanager
def proxy(
    folder: Path,
    *,
    front: int,
    upstream: int,
    known: bool = True,
    maxconn: int = 400,
    times: Mapping[str, str] | None = None,
) -> Iterator[psutil.Process]:
    """`times` takes the place of times that no test waits for, such as `timeout client`."""
    config = rendered(folder, front=front, upstream=upstream, known=known, maxconn=maxconn)
    wrapper = folder / "our haproxy.sh"
    haproxy.install(wrapper, loopback=True, trusted=LOOPBACK)
    if times:
        _hasten(wrapper, times)
    process = subprocess.Popen([wrapper, "-db", "-f", config], stderr=subprocess.PIPE)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=10)
        assert b"parsing [" not in errors


def _hasten(wrapper: Path, times: Mapping[str, str]) -> None:
    """The program behind the script gets a configuration with other times."""
    program = wrapper.parent / "hasty.sh"
    real = wrapper.read_text().split("'")[7]
    edits = " ".join(f"-e 's/^    {name} .*/    {name} {time}/'" for name, time in times.items())
    program.write_text(f'#!/bin/sh\nsed -i {edits} "$3"\nexec "{real}" "$@"\n')
    program.chmod(0o700)
    wrapper.write_text(wrapper.read_text().replace(real, str(program)))


@asynccontextmanager
async def upstream(port: int, seen: list[bytes]) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
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


def four_ports() -> tuple[int, int]:
    """Of the front door, with two free ones after it, and of the replica behind it."""
    while True:
        front = ports.choose({"front": 0}, remembered={}, rng=random.Random())["front"]
        if ports.is_free(front + 1) and ports.is_free(front + 2) and ports.is_free(front + 3):
            return front, front + 3
