"""Somebody with an account, over HTTP."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from integration.serve.serving import bearer

from ecap.config import Settings
from ecap.domain.values.ids import new_id

URL = "/api/v1/auth"
PASSWORD = "a long enough password"
WITHIN_S = 1.0


@dataclass
class Visitor:
    client: httpx.AsyncClient
    email: str
    password: str = field(default=PASSWORD, repr=False)
    tokens: dict[str, Any] = field(default_factory=dict, repr=False)
    id: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.tokens["access_token"])

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **options)

    async def log_in(self) -> Visitor:
        """Another session of the same account."""
        again = Visitor(self.client, self.email, self.password)
        answer = await self.client.post(
            f"{URL}/login", json={"email": self.email, "password": self.password}
        )
        assert answer.status_code == 200, answer.text
        again.tokens = answer.json()
        again.id = (await again.ask("GET", f"{URL}/me")).json()["id"]
        return again

    async def refresh(self, token: str | None = None) -> httpx.Response:
        body = {"refresh_token": token or self.tokens["refresh_token"]}
        return await self.client.post(f"{URL}/refresh", json=body)

    async def log_out(self) -> None:
        body = {"refresh_token": self.tokens["refresh_token"]}
        assert (await self.client.post(f"{URL}/logout", json=body)).status_code == 204

    async def change(self, other: Visitor, **change: Any) -> httpx.Response:
        """As an administrator."""
        path = f"{URL}/users/{other.id}"
        etag = (await self.ask("GET", path)).headers["etag"]
        return await self.ask("PATCH", path, json=change, headers={"if-match": etag})


async def visitor(client: httpx.AsyncClient) -> Visitor:
    new = Visitor(client, f"{new_id().hex}@example.org")
    body = {"email": new.email, "password": new.password, "display_name": "Some Body"}
    answer = await client.post(f"{URL}/register", json=body)
    assert answer.status_code == 201, answer.text
    new.tokens, new.id = answer.json()["tokens"], answer.json()["account"]["id"]
    return new


async def administrator(client: httpx.AsyncClient, settings: Settings) -> Visitor:
    assert settings.auth.admin_email is not None
    assert settings.auth.admin_password is not None
    password = settings.auth.admin_password.get_secret_value()
    return await Visitor(client, settings.auth.admin_email, password).log_in()


async def hired(admin: Visitor, *roles: str) -> Visitor:
    new = await visitor(admin.client)
    answer = await admin.change(new, roles=roles)
    assert answer.status_code == 200, answer.text
    return await new.log_in()


async def ended_within(who: Visitor, *paths: str) -> float:
    """The seconds until the access token is refused at every path. Raises TimeoutError."""
    began = time.monotonic()
    async with asyncio.timeout(WITHIN_S):
        for path in paths:
            while (await who.ask("GET", path)).status_code != 401:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    return time.monotonic() - began
