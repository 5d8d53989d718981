"""A service that a debugger can stop in."""

from __future__ import annotations

import asyncio
import os
import sys

import httpx
from free_ports import free_port
from integration.config.waiting import until

from ecap.local.state.runtime import Runtime


async def test_a_service_runs_without_ray(servers: Runtime) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ecap.local.alone", "gateway", "--port", str(port)),
        env=os.environ | dict(servers.environ),
    )

    def answers() -> bool:
        assert process.returncode is None, "it ended"
        try:
            return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    try:
        await until(answers)
    finally:
        process.terminate()
        await process.wait()
