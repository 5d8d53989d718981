"""People with a browser at the front door; each has an address of their own."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

import httpx

from ecap.demo.shoppers.shelf import Basket, total_minor
from ecap.domain.values.money import to_decimal

# RFC 2544 keeps 198.18.0.0/15 for tests; the demo's shoppers live in the first half.
_ADDRESSES = itertools.count(int(IPv4Address("198.19.128.1")))
BERLIN = (52.52, 13.40)
_RUN = secrets.token_hex(3)


@dataclass
class Person:
    """`refresh` is the refresh token of the last log in."""

    client: httpx.AsyncClient
    email: str
    password: str = field(repr=False)
    id: UUID
    address: str
    token: str = field(repr=False)
    refresh: str = field(repr=False)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        own = {"authorization": f"Bearer {self.token}", "x-forwarded-for": self.address}
        return await self.client.request(
            method, path, headers={**own, **(headers or {})}, **options
        )

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.ask("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def log_in(self) -> None:
        answer = await self.client.post(
            "/api/v1/auth/login",
            json={"email": self.email, "password": self.password},
            headers={"x-forwarded-for": self.address},
        )
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]
        self.refresh = answer.json()["refresh_token"]

    async def order(
        self, basket: Basket, key: str, *, card: str = "card_of_mine", **headers: str
    ) -> httpx.Response:
        return await self.ask(
            "POST",
            "/api/v1/orders",
            json=order_body(basket, card=card, device=f"device-{self.id}"),
            headers={"idempotency-key": key, **headers},
        )


def order_body(basket: Basket, *, card: str, device: str) -> dict[str, Any]:
    return {
        "lines": [
            {"product_id": str(wanted.goods.id), "quantity": wanted.quantity} for wanted in basket
        ],
        "payment": {"card_token": card},
        "device": {"id": device, "latitude": BERLIN[0], "longitude": BERLIN[1]},
        "expected_total": str(to_decimal(total_minor(basket))),
    }


async def register(client: httpx.AsyncClient, name: str = "Ada Berg") -> Person:
    number = next(_ADDRESSES)
    address, password = str(IPv4Address(number)), secrets.token_urlsafe(12)
    email = f"{name.replace(' ', '.').lower()}.{_RUN}.{number}@shopper.example"
    answer = await client.post(
        "/api/v1/auth/register",
        json={"email": email, "password": password, "display_name": name},
        headers={"x-forwarded-for": address},
    )
    assert answer.status_code == 201, answer.text
    tokens = answer.json()["tokens"]
    return Person(
        client,
        email,
        password,
        UUID(answer.json()["account"]["id"]),
        address,
        tokens["access_token"],
        tokens["refresh_token"],
    )


async def administrator(client: httpx.AsyncClient, *, email: str, password: str) -> Person:
    who = Person(client, email, password, UUID(int=0), str(IPv4Address(next(_ADDRESSES))), "", "")
    await who.log_in()
    who.id = UUID((await who.get("/api/v1/auth/me"))["id"])
    return who


async def hire(admin: Person, role: str) -> Person:
    """Somebody new with this role."""
    who = await register(admin.client, role.title())
    path = f"/api/v1/auth/users/{who.id}"
    found = await admin.ask("GET", path)
    assert found.status_code == 200, found.text
    etag = found.headers["etag"]
    answer = await admin.ask(
        "PATCH", path, json={"roles": ["customer", role]}, headers={"if-match": etag}
    )
    assert answer.status_code == 200, answer.text
    await who.log_in()
    return who


def money(text: str) -> Decimal:
    return Decimal(text)
