"""What one replica owns: opened together, closed in reverse."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from aiohttp import ClientSession

from ecap.actors.stream.questions import ShardClient
from ecap.clients.database import open_database
from ecap.clients.postgres import Pool
from ecap.config.member.follows import Follow
from ecap.config.member.member import Member
from ecap.config.member.probation import Vitals
from ecap.config.protocol import Health, HubLink
from ecap.config.settings.http import Http
from ecap.config.settings.mesh import Mesh
from ecap.config.settings.tree import Settings
from ecap.errors import Misconfigured
from ecap.mesh import MeshClient, MeshClients, Principal, ServiceIdentity, Transport
from ecap.mesh.http import HttpTransport, open_session
from ecap.serve.edge.limits import Limiter
from ecap.serve.edge.revocations import Revocations
from ecap.serve.edge.tokens import Jwks, TokenVerifier
from ecap.serve.endpoints.routing import Check
from ecap.serve.replica.background import background
from ecap.serve.replica.health import troubles

JWKS = "GET /api/v1/auth/jwks"
_SCRAPER = Principal("scraper", "service", scopes=frozenset({"metrics:read"}))


class Actors(Protocol):
    """The actors a replica asks; None where a service runs by itself."""

    def transport(self, actor: str) -> Transport: ...

    def limiter(self, service: str) -> Limiter | None: ...

    def shards(self, pool: Pool, *, clients: MeshClients) -> ShardClient: ...

    def hub(self) -> HubLink | None:
        """None where configuration stays as it was loaded."""
        ...


@dataclass(frozen=True)
class Process:
    """A service adds to `checks` what it cannot work without, besides PostgreSQL, and to
    `follows` what it made from settings (see `ecap.serve.replica.follows`)."""

    service: str
    member: Member
    pool: Pool
    verifier: TokenVerifier
    revocations: Revocations
    limiter: Limiter | None
    clients: MeshClients
    services: Callable[[str], MeshClient]
    actors: Actors | None
    identity: ServiceIdentity
    checks: dict[str, Check]
    follows: list[Follow[Any]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """What counts now: read it where it is used, and keep no copy."""
        return self.member.settings


def _key_source(
    url: str | None, session: ClientSession, clients: MeshClients, auth: MeshClient
) -> Jwks:
    """`auth.jwks_url` where it is set, else the auth service behind the front door."""
    asked, target = auth, JWKS
    if url is not None:
        parts = urlsplit(url)
        base_url = f"{parts.scheme}://{parts.netloc}"
        transport = HttpTransport("auth.jwks_url", session, base_url=base_url)
        asked = clients.of("jwks", lambda _: transport)
        target = f"GET {urlunsplit(('', '', parts.path or '/', parts.query, ''))}"

    async def jwks() -> Mapping[str, Any]:
        keys: Mapping[str, Any] = await asked.call(target, idempotent=True)
        return keys

    return jwks


def fixed_tokens(settings: Http) -> Mapping[str, Principal]:
    """Secrets that are accepted as access tokens, and whose they are."""
    token = settings.metrics_token
    return {} if token is None else {token.get_secret_value(): _SCRAPER}


def service_key(settings: Mesh) -> bytes:
    """Raises Misconfigured when it is missing."""
    if settings.service_key is None:
        raise Misconfigured("mesh.service_key is not set; give it a secret reference")
    return settings.service_key.get_secret_value().encode()


@asynccontextmanager
async def open_process(
    service: str,
    settings: Settings,
    *,
    actors: Actors | None = None,
    member: str | None = None,
    health: Callable[[], Health] = Health,
    tally: Callable[[], tuple[int, int]] = lambda: (0, 0),
) -> AsyncIterator[Process]:
    """`member` is its name in the ledger of the configuration hub, `health` its account
    of itself, `tally` its requests and failed ones so far. The member
    does not run yet: services subscribe first.

    Raises Misconfigured when a required setting is missing.
    """
    identity = ServiceIdentity(service, key=service_key(settings.mesh))
    clients = MeshClients(settings.mesh)
    base_url = f"http://127.0.0.1:{settings.http.port}"
    async with open_session() as session, open_database(settings, service=service) as pool:

        def connect(callee: str) -> HttpTransport:
            return HttpTransport(callee, session, base_url=base_url, identity=identity)

        def client(callee: str) -> MeshClient:
            return clients.of(callee, connect)

        revocations = Revocations()
        verifier = TokenVerifier(
            _key_source(settings.auth.jwks_url, session, clients, client("auth")),
            issuer=settings.auth.issuer,
            audience=settings.auth.audience,
            skew_s=settings.auth.clock_skew_s,
            fixed=fixed_tokens(settings.http),
            revocations=revocations,
        )
        limiter = actors.limiter(service) if actors else None
        checks: dict[str, Check] = {"postgres": pool.ping}
        process = Process(
            service,
            Member(
                member or f"{service}-{os.getpid()}",
                kind=service,
                settings=settings,
                link=actors.hub() if actors else None,
                clock=time.monotonic,
                health=health,
                vitals=Vitals(partial(troubles, checks), tally),
            ),
            pool,
            verifier,
            revocations,
            limiter,
            clients,
            client,
            actors,
            identity,
            checks,
        )

        def poll_s() -> float:
            return process.settings.auth.revocation_poll_s

        async with background(revocations.run(pool, poll_s=poll_s), name="revocations"):
            # Until it is heard nobody is known to be welcome; PostgreSQL may be away, though.
            await revocations.tried()
            yield process
