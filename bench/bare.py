"""The baselines over HTTP: the same handlers with nothing around them.

python -m bench.bare {fastapi,starlette,edge} PORT
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.noop import PLAIN, empty_edge
from ecap.clients.postgres import Pool, open_pool
from ecap.clients.queries import load_queries
from ecap.config import load


def fastapi() -> FastAPI:
    """A no-op, and the catalog's query as the catalog's route answers it."""
    query = load_queries("ecap.serve.catalog")["product"]
    pools: list[Pool] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with open_pool(load().postgres, service="bench") as pool:
            pools.append(pool)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/noop")
    async def noop() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/products/{product_id}")
    async def product(product_id: UUID) -> dict[str, Any]:
        row = await pools[0].fetchrow(query, product_id)
        assert row is not None
        return dict(row)

    return app


def starlette() -> Starlette:
    async def noop(_: Request) -> JSONResponse:
        return JSONResponse({"ok": True})

    return Starlette(routes=[Route("/noop", noop)])


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    app: Any
    if kind == "edge":
        app = empty_edge(PLAIN, load())
    else:
        app = {"fastapi": fastapi, "starlette": starlette}[kind]()
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        loop="uvloop",
        http="httptools",
    )


if __name__ == "__main__":
    main()
