"""What one replica owns: opened together, closed in reverse."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from aiohttp import ClientSession

from ecap.actors.asking import ShardClient
from ecap.clients.postgres import Pool, open_pool
from ecap.config.member import Member
from ecap.config.protocol import Health, HubLink
from ecap.config.settings import Settings
from ecap.errors import Misconfigured
from ecap.mesh import CallPolicy, MeshClient, Principal, ServiceIdentity, Transport
from ecap.mesh.http import HttpTransport, open_session
from ecap.serve.limits import Limiter
from ecap.serve.routing import Check
from ecap.serve.tokens import Jwks, TokenVerifier

JWKS = "GET /api/v1/auth/jwks"
_SCRAPER = Principal("scraper", "service", scopes=frozenset({"metrics:read"}))


class Actors(Protocol):
    """The actors a replica asks; None where a service runs by itself."""

    def transport(self, actor: str) -> Transport: ...

    def limiter(self, service: str) -> Limiter | None: ...

    def shards(self, pool: Pool, *, policy: Callable[[str], CallPolicy]) -> ShardClient: ...

    def hub(self) -> HubLink | None:
        """None where configuration stays as it was loaded."""
        ...


@dataclass(frozen=True)
class Process:
    """A service adds to `checks` what it cannot work without, besides PostgreSQL.

    `settings` are what the process started with; `member.settings` what counts now.
    """

    service: str
    settings: Settings
    member: Member
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
    service: str,
    settings: Settings,
    *,
    actors: Actors | None = None,
    member: str | None = None,
    health: Callable[[], Health] = Health,
) -> AsyncIterator[Process]:
    """`member` is its name in the ledger of the configuration hub, `health` its account
    of itself. The member does not run yet: services subscribe first.

    Raises Misconfigured when a required setting is missing.
    """
    if settings.mesh.service_key is None:
        raise Misconfigured("mesh.service_key is not set; give it a secret reference")
    identity = ServiceIdentity(service, key=settings.mesh.service_key.get_secret_value().encode())
    base_url = f"http://127.0.0.1:{settings.http.port}"
    async with open_session() as session, open_pool(settings.postgres, service=service) as pool:
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
        yield Process(
            service,
            settings,
            Member(
                member or f"{service}-{os.getpid()}",
                kind=service,
                settings=settings,
                link=actors.hub() if actors else None,
                clock=time.monotonic,
                health=health,
            ),
            pool,
            verifier,
            limiter,
            client,
            actors,
            identity,
            checks,
        )
