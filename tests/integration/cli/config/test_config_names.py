"""An author in the history is shown by name, and stays an id where nobody tells it."""

from __future__ import annotations

import asyncio

import httpx
from aiohttp import web

from ecap.cli.config.names import Names
from ecap.cli.door import CONFIG, Door

ANN = "0198c0de-0000-7000-8000-000000000001"
BOB = "0198c0de-0000-7000-8000-000000000002"


async def test_authors_have_names() -> None:
    asked: list[str] = []

    async def account(request: web.Request) -> web.Response:
        asked.append(request.match_info["id"])
        if request.match_info["id"] == BOB:
            return web.json_response({"detail": "no such account"}, status=404)
        return web.json_response({"email": "ann@example.org"})

    app = web.Application()
    app.router.add_get("/api/v1/auth/users/{id}", account)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]

    def shown() -> list[str]:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            names = Names(Door(client, below=CONFIG))
            return [names.of(author) for author in (ANN, "hub", BOB, ANN, "base")]

    try:
        found = await asyncio.to_thread(shown)
    finally:
        await runner.cleanup()
    assert found == ["ann@example.org", "hub", BOB, "ann@example.org", "base"]
    assert asked == [ANN, BOB]
    assert Names(None).of(ANN) == ANN
