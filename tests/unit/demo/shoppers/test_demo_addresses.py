"""Shoppers are many clients to the rate limits, with no header that says so."""

from __future__ import annotations

import asyncio
import sys
from ipaddress import ip_address, ip_network

import pytest
from aiohttp import web

from ecap.demo.shoppers.door import open_door
from ecap.demo.shoppers.latency import Meter


@pytest.mark.skipif(sys.platform != "linux", reason="only there all of 127.0.0.0/8 is local")
async def test_connections_come_from_addresses_of_their_own() -> None:
    peers: set[str] = set()
    claimed: set[str | None] = set()
    everybody = asyncio.Barrier(8)

    async def answer(request: web.Request) -> web.Response:
        peers.add(str(request.remote))
        claimed.add(request.headers.get("x-forwarded-for"))
        await everybody.wait()
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        url = f"http://127.0.0.1:{port}"
        async with open_door(url, meter=Meter(), closing=asyncio.Event()) as door:
            await asyncio.gather(*(door.ask("GET", "/") for _ in range(8)))
    finally:
        await runner.cleanup()
    assert len(peers) > 1
    assert all(ip_address(peer) in ip_network("127.18.0.0/16") for peer in peers)
    assert claimed == {None}
