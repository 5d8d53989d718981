from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec

from ecap import metrics
from ecap.serve.endpoints import openapi
from ecap.serve.endpoints.routing import Api, Call, Raw, Reply
from ecap.serve.gateway.audit import routes as audit
from ecap.serve.gateway.config import routes
from ecap.serve.gateway.models import Index, LimitsThatApply, Overview, Readiness
from ecap.serve.gateway.pages import docs, index
from ecap.serve.gateway.pages.allowance import limits_of
from ecap.serve.gateway.pages.documents import merged
from ecap.serve.gateway.pages.overview import overview
from ecap.serve.gateway.pages.readiness import judged
from ecap.serve.gateway.service import Gateway
from ecap.serve.replica.health import Alive

api = Api("gateway", prefix="", title="ECAP gateway")
api.endpoints += routes.api.endpoints
api.endpoints += audit.api.endpoints


@api.get("/", scope=None)
async def get_index(call: Call[Gateway]) -> Annotated[Reply[Index] | Raw, Index]:
    """Find everything else.

    Answers a page to a browser.
    """
    if index.prefers_html(call.header("accept")):
        return index.page()
    return Reply(index.INDEX, headers=(("vary", "accept"),))


@api.get("/openapi.json", scope=None)
async def get_openapi(call: Call[Gateway]) -> Raw:
    """Get the OpenAPI document of all services.

    `info.x-unavailable` names services that could not be asked yet.
    """
    whole = merged(openapi.document(api), await call.state.documents.get())
    return Raw(msgspec.json.encode(whole), "application/json")


@api.get("/docs", scope=None, media="text/html")
async def get_docs(call: Call[Gateway]) -> Raw:
    """Read the documentation in a browser."""
    return docs.page()


@api.get("/docs/{name}", scope=None, media="*/*")
async def get_docs_file(call: Call[Gateway], name: str) -> Raw:
    """Get a file of the documentation page."""
    return await docs.asset(name, accept_encoding=call.headers.get(b"accept-encoding", b""))


@api.get("/healthz", scope=None)
async def healthz(call: Call[Gateway]) -> Alive:
    """Whether the gateway answers at all."""
    return Alive()


@api.get("/readyz", scope=None)
async def readyz(call: Call[Gateway]) -> Readiness:
    """Whether the whole works; 503 with the reasons when something needed is down.

    Needed are PostgreSQL and the services. `degraded` means that an actor or the
    broker is away: orders are accepted all the same, those that cannot be scored wait
    for review, and their events reach the stream when it is back.
    """
    return judged(await call.state.readiness.get(), call.member)


@api.get("/metrics", scope="metrics:read", media="text/plain")
async def get_metrics(call: Call[Gateway]) -> Raw:
    """Get the metrics of every process of this node, in the Prometheus text format.

    Takes the token of the scraper, or one with the scope.
    """
    return Raw(await asyncio.to_thread(metrics.exposition), metrics.CONTENT_TYPE)


@api.get("/api/v1/me/overview", scope="profile:read")
async def get_overview(call: Call[Gateway]) -> Overview:
    """Get profile, last orders and notifications of the caller at once.

    A part that cannot be had in time says so, and leaves the others as they are.
    """
    return await overview(call.state.services)


@api.get("/api/v1/limits", scope=None)
async def get_limits(call: Call[Gateway]) -> LimitsThatApply:
    """Get the rate limits that apply to the caller.

    What is left of them is in the RateLimit header of every answer.
    """
    return limits_of(call.principal, call.state.settings().limits)
