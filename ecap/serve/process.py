"""What one replica owns: opened together, closed in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

from aiohttp import ClientSession

from ecap import logs, spans
from ecap.actors.asking import ShardClient
from ecap.clients.leasing import open_database
from ecap.clients.postgres import Pool
from ecap.config.settings import Settings
from ecap.errors import Misconfigured
from ecap.mesh import CallPolicy, MeshClient, Principal, ServiceIdentity, Transport
from ecap.mesh.http import HttpTransport, open_session
from ecap.serve import health
from ecap.serve.asgi import Edge
from ecap.serve.limits import Limiter
from ecap.serve.parts import EdgeParts
from ecap.serve.routing import Api, Check
from ecap.serve.tokens import Jwks, TokenVerifier

S = TypeVar("S")
JWKS = "GET /api/v1/auth/jwks"
_SCRAPER = Principal("scraper", "service", scopes=frozenset({"metrics:read"}))


class Actors(Protocol):
    """The actors a replica asks; None where a service runs by itself."""

    def transport(self, actor: str) -> Transport: ...

    def limiter(self, service: str) -> Limiter | None: ...

    def shards(self, pool: Pool, *, policy: Callable[[str], CallPolicy]) -> ShardClient: ...


@dataclass(frozen=True)
class Process:
    """A service adds to `checks` what it cannot work without, besides PostgreSQL."""

    service: str
    settings: Settings
    pool: Pool
    verifier: TokenVerifier
    limiter: Limiter | None
    services: Callable[[str], MeshClient]
    actors: Actors | None
    identity: ServiceIdentity
    checks: dict[str, Check]

    def policy(self, callee: str, *, idempotent: bool = False) -> CallPolicy:
        return _policy(self.settings, callee, idempotent=idempotent)


def _policy(settings: Settings, callee: str, *, idempotent: bool = False) -> CallPolicy:
    chosen = settings.mesh.callees.get(callee, settings.mesh.default)
    return CallPolicy.from_settings(chosen, idempotent=idempotent)


def _key_source(
    settings: Settings, session: ClientSession, client: Callable[[str], MeshClient]
) -> Jwks:
    """`auth.jwks_url` where it is set, else the auth service behind the front door."""
    asked, target = client("auth"), JWKS
    if settings.auth.jwks_url is not None:
        url = urlsplit(settings.auth.jwks_url)
        base_url = f"{url.scheme}://{url.netloc}"
        transport = HttpTransport("auth.jwks_url", session, base_url=base_url)
        asked = MeshClient("jwks", transport, _policy(settings, "jwks"))
        target = f"GET {urlunsplit(('', '', url.path or '/', url.query, ''))}"

    async def jwks() -> Mapping[str, Any]:
        keys: Mapping[str, Any] = await asked.call(target, idempotent=True)
        return keys

    return jwks


def _fixed_tokens(settings: Settings) -> Mapping[str, Principal]:
    token = settings.http.metrics_token
    if token is None:
        return {}
    return {token.get_secret_value(): _SCRAPER}


@asynccontextmanager
async def open_process(
    service: str, settings: Settings, *, actors: Actors | None = None
) -> AsyncIterator[Process]:
    """Raises Misconfigured when a required setting is missing."""
    if settings.mesh.service_key is None:
        raise Misconfigured("mesh.service_key is not set; give it a secret reference")
    identity = ServiceIdentity(service, key=settings.mesh.service_key.get_secret_value().encode())
    base_url = f"http://127.0.0.1:{settings.http.port}"
    async with open_session() as session, open_database(settings, service=service) as pool:
        clients: dict[str, MeshClient] = {}

        def client(callee: str) -> MeshClient:
            if callee not in clients:
                transport = HttpTransport(callee, session, base_url=base_url, identity=identity)
                clients[callee] = MeshClient(callee, transport, _policy(settings, callee))
            return clients[callee]

        verifier = TokenVerifier(
            _key_source(settings, session, client),
            issuer=settings.auth.issuer,
            audience=settings.auth.audience,
            skew_s=settings.auth.clock_skew_s,
            fixed=_fixed_tokens(settings),
        )
        limiter = actors.limiter(service) if actors else None
        checks: dict[str, Check] = {"postgres": pool.ping}
        yield Process(service, settings, pool, verifier, limiter, client, actors, identity, checks)


Opener = Callable[[Process], AbstractAsyncContextManager[S]]


def build(
    api: Api,
    opener: Opener[S],
    settings: Settings,
    *,
    actors: Actors | None = None,
    answers_id: bool = True,
) -> Edge:
    """The ASGI application of a service; its resources live as long as its lifespan."""

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
                open_process(api.service, settings, actors=actors) as process,
                opener(process) as state,
            ):
                yield EdgeParts(
                    state, process.verifier, process.limiter, process.identity, process.checks
                )
        finally:
            await asyncio.to_thread(spans.shutdown)

    return Edge(
        health.completed(api),
        opening,
        http=settings.http,
        rate=settings.limits,
        answers_id=answers_id,
    )
