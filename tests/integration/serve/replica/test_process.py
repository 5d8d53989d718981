"""What a replica is built from: keys from elsewhere, settings that are missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from integration.serve.front_door import alive
from integration.serve.serving import bearer, serving
from joserfc.jwk import OKPKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.errors import Misconfigured
from ecap.serve.replica.replica import build
from ecap.serve.users.routes import api
from ecap.serve.users.service import opened


async def test_keys_from_another_issuer(
    settings: Settings, pool: Pool, signing_key: OKPKey, mint: Callable[..., str]
) -> None:
    async def jwks(request: Any) -> JSONResponse:
        assert request.query_params["tenant"] == "1"
        return JSONResponse({"keys": [signing_key.as_dict(private=False)]})

    async with serving(Starlette(routes=[Route("/somewhere/keys", jwks)])) as issuer:
        url = f"{issuer.base_url}/somewhere/keys?tenant=1"
        auth = settings.auth.model_copy(update={"jwks_url": url})
        here = settings.model_copy(update={"auth": auth})
        async with serving(build(api, opened, here)) as users:
            answer = await users.get("/api/v1/users/me/addresses", headers=bearer(mint("customer")))
    assert answer.json() == {"items": []}


@pytest.mark.parametrize(
    ("section", "change", "named"),
    [
        ("mesh", {"service_key": None}, "mesh.service_key"),
        ("postgres", {"host": None}, "postgres.host"),
        ("auth", {"jwks_url": "keys.example/jwks"}, "auth.jwks_url"),
    ],
)
async def test_a_missing_setting_is_named(
    settings: Settings, section: str, change: dict[str, Any], named: str
) -> None:
    changed = getattr(settings, section).model_copy(update=change)
    with pytest.raises(Misconfigured, match=named):
        async with alive(build(api, opened, settings.model_copy(update={section: changed}))):
            pass
