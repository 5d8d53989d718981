"""What HAProxy answers by itself is counted, by service: the real program."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from integration.runtime.running_haproxy import four_ports, proxy, until_answered, upstream

from ecap import metrics


def samples() -> dict[str, float]:
    found = re.findall(r"(?m)^(ecap_front_door\S+) (\S+)$", metrics.exposition().decode())
    return {name: float(value) for name, value in found}


def answers(service: str, status: str) -> str:
    return f'ecap_front_door_responses_total{{service="{service}",status="{status}"}}'


async def test_a_service_that_is_wholly_down_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front, behind = four_ports()
    monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", str(front + 1))
    assert samples() == {"ecap_front_door_up": 0}
    with proxy(tmp_path, front=front, upstream=behind):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}") as client:
            async with upstream(behind, []):
                await until_answered(client, "/orders", 200)
                well = await asyncio.to_thread(samples)
            await until_answered(client, "/nowhere", 404)
            for _ in range(3):
                await until_answered(client, "/orders", 503)
            down = await asyncio.to_thread(samples)
    assert well["ecap_front_door_up"] == down["ecap_front_door_up"] == 1
    replicas = 'ecap_front_door_replicas{service="orders"}'
    assert (well[replicas], down[replicas]) == (1, 0)
    assert well[answers("orders", "2xx")] >= 1
    assert down[answers("orders", "5xx")] >= well[answers("orders", "5xx")] + 3
    assert down[answers("unmatched", "4xx")] >= 1


async def test_a_front_door_that_knows_no_service_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front, behind = four_ports()
    monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", str(front + 1))
    with proxy(tmp_path, front=front, upstream=behind, known=False):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}") as client:
            await until_answered(client, "/orders", 503)
        found = await asyncio.to_thread(samples)
    assert found[answers("unmatched", "5xx")] >= 1


async def test_who_hangs_up_makes_no_failure_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front, behind = four_ports()
    monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", str(front + 1))

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b" /-/healthz " in await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        else:
            await reader.read()
        writer.close()

    with proxy(tmp_path, front=front, upstream=behind):
        async with await asyncio.start_server(never, "127.0.0.1", behind):
            while (await asyncio.to_thread(samples)).get("ecap_front_door_up") != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            before = (await asyncio.to_thread(samples))[answers("orders", "5xx")]
            for number in range(60):
                _, writer = await asyncio.open_connection("127.0.0.1", front)
                writer.write(b"GET /orders HTTP/1.1\r\nhost: x\r\n\r\n")
                await asyncio.sleep(number % 3 * 0.005)
                writer.close()
                await writer.wait_closed()
            async with asyncio.timeout(10):
                while (found := await asyncio.to_thread(samples))[answers("orders", "4xx")] < 60:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    assert found[answers("orders", "5xx")] == before
