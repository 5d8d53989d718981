"""A service as an ASGI application, with all that its replica owns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple, TypeVar

from ecap import logs, spans
from ecap.config.member.participation import taking_part
from ecap.config.settings.tree import Settings
from ecap.serve.edge.asgi import Edge
from ecap.serve.edge.parts import EdgeParts
from ecap.serve.endpoints.routing import Api
from ecap.serve.replica import health
from ecap.serve.replica.follows import follow
from ecap.serve.replica.process import Actors, Process, open_process

S = TypeVar("S")
Opener = Callable[[Process], AbstractAsyncContextManager[S]]


class Service(NamedTuple):
    """What a replica of a service runs: its endpoints, and what they need opened."""

    api: Api
    opener: Opener[Any]


def build(
    api: Api,
    opener: Opener[S],
    settings: Settings,
    *,
    actors: Actors | None = None,
    member: str | None = None,
    answers_id: bool = True,
) -> Edge:
    """The ASGI application of a service; its resources live as long as its lifespan.

    `member` is the name of the replica for the configuration hub.
    """

    @asynccontextmanager
    async def opening() -> AsyncIterator[EdgeParts]:
        logs.setup(service=api.service, level=settings.log.level, style=settings.log.style)
        spans.setup(
            settings.telemetry.otlp_endpoint,
            service=api.service,
            ratio=settings.telemetry.sample_ratio,
        )
        try:
            async with (
                open_process(
                    api.service,
                    settings,
                    actors=actors,
                    member=member,
                    health=edge.health,
                    tally=edge.tally,
                ) as process,
                opener(process) as state,
            ):
                follow(process, edge)
                async with taking_part(process.member):
                    yield EdgeParts(
                        state,
                        process.verifier,
                        process.limiter,
                        process.identity,
                        process.checks,
                        process.member,
                        process.revocations,
                    )
        finally:
            await asyncio.to_thread(spans.shutdown)

    edge = Edge(
        health.completed(api),
        opening,
        http=settings.http,
        rate=settings.limits,
        answers_id=answers_id,
    )
    return edge
