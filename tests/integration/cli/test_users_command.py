"""`ecap users add` at a real auth service."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import httpx
import pytest
from integration.serve.front_door import front_door

from ecap.clients.migrations import migrate
from ecap.clients.postgres import open_pool
from ecap.config import Settings
from ecap.domain.values.ids import new_id
from ecap.serve.auth.routes import api
from ecap.serve.auth.service import opened

URL = "/api/v1/auth"
PASSWORD = "a long enough password"


@pytest.fixture
async def auth(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with open_pool(settings.postgres, service="tests") as pool:
        await migrate(pool)
    async with front_door(settings, (api, opened)) as client:
        yield client


@pytest.fixture
async def environ(auth: httpx.AsyncClient, settings: Settings) -> dict[str, str]:
    password = settings.auth.admin_password
    assert password is not None
    body = {"email": settings.auth.admin_email, "password": password.get_secret_value()}
    answer = await auth.post(f"{URL}/login", json=body)
    return {
        **os.environ,
        "ECAP_URL": str(auth.base_url),
        "ECAP_TOKEN": answer.json()["access_token"],
    }


async def ecap(environ: dict[str, str], *arguments: str, stdin: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "ecap.cli.main", *arguments),
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_opens_an_account_with_roles(
    auth: httpx.AsyncClient, environ: dict[str, str]
) -> None:
    email = f"{new_id().hex}@example.org"
    words = ("users", "add", email, "--role", "support", "--role", "customer")
    code, out, err = await ecap(environ, *words, stdin=PASSWORD + "\n")
    assert (code, err) == (0, "")
    assert "customer, support" in out
    assert PASSWORD not in out
    answer = await auth.post(f"{URL}/login", json={"email": email, "password": PASSWORD})
    scopes = answer.json()["scope"].split()
    assert "orders:read-all" in scopes
    assert "config:read" not in scopes
    code, _, err = await ecap(environ, *words, stdin=PASSWORD + "\n")
    assert code == 1
    assert "taken" in err


@pytest.mark.parametrize(
    ("role", "password", "said"),
    [("suport", PASSWORD, "no role is called suport"), ("support", "password123", "commonest")],
)
async def test_says_what_is_wrong(
    environ: dict[str, str], role: str, password: str, said: str
) -> None:
    words = ("users", "add", f"{new_id().hex}@example.org", "--role", role)
    code, _, err = await ecap(environ, *words, stdin=password + "\n")
    assert code == 1
    assert said in err
    assert password not in err


async def test_nobody_is_there(environ: dict[str, str]) -> None:
    words = ("users", "add", "x@example.org", "--role", "support", "--url", "http://127.0.0.1:9")
    code, _, err = await ecap(environ, *words, stdin=PASSWORD + "\n")
    assert code == 3
    assert "does not answer" in err
