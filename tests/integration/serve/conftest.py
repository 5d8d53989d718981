"""Services behind their real edge, over real HTTP, on the real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from integration.serve.serving import serving
from joserfc import jwt
from joserfc.jwk import OKPKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from ecap.clients.migrations import migrate
from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings
from ecap.domain.accounts.roles import Role, scopes_of
from ecap.domain.values.ids import new_id
from ecap.serve.endpoints.routing import Api
from ecap.serve.replica.replica import Opener, build


@pytest.fixture(scope="session")
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with open_pool(settings.postgres, service="tests") as opened:
        await migrate(opened)
        yield opened


@pytest.fixture(scope="session")
def signing_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", parameters={"kid": "tests", "use": "sig"})


Mint = Callable[..., str]


@pytest.fixture(scope="session")
def mint(signing_key: OKPKey, settings: Settings) -> Mint:
    """Access tokens as the auth service makes them."""

    def mint(*roles: Role, subject: str | None = None, **claims: Any) -> str:
        now = int(time.time())
        body = {
            "iss": settings.auth.issuer,
            "aud": settings.auth.audience,
            "sub": subject or str(new_id()),
            "iat": now,
            "exp": now + 300,
            "roles": list(roles),
            "scope": " ".join(sorted(scopes_of(roles))),
            **claims,
        }
        header = {"alg": "Ed25519", "kid": "tests", "typ": "at+jwt"}
        return jwt.encode(header, body, signing_key, algorithms=["Ed25519"])

    return mint


def key_set(key: OKPKey) -> dict[str, Iterable[Any]]:
    return {"keys": [key.as_dict(private=False)]}


Replica = Callable[[Api, Opener[Any]], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(scope="session")
def replica(settings: Settings, signing_key: OKPKey) -> Replica:
    """One service, opened as its replica opens it; it fetches the key set over HTTP."""

    async def jwks(request: Any) -> JSONResponse:
        return JSONResponse(key_set(signing_key))

    keys: Any = Starlette(routes=[Route("/api/v1/auth/jwks", jwks)])

    @asynccontextmanager
    async def open_replica(api: Api, opener: Opener[Any]) -> AsyncIterator[httpx.AsyncClient]:
        async with serving(keys) as front:
            http = settings.http.model_copy(update={"port": front.base_url.port})
            here = settings.model_copy(update={"http": http})
            async with serving(build(api, opener, here)) as client:
                yield client

    return open_replica
