"""The documentation is true: schemathesis sends good and bad requests to every operation.

No 5xx, no undocumented status, answers as their schemas say, good data taken and bad
data refused. Deterministic, and last of the end-to-end tests: an administrator's good
data are strange new products.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e.people import Person, hire, register
from e2e.system import System

from ecap.domain.accounts.roles import Role, scopes_of

_PROGRAM = Path(sys.executable).with_name("schemathesis")
_WITHIN_S = 600
_EXAMPLES = 3
# One never ends, one is files of somebody else, and one ends the token that all are asked with.
_LEFT_OUT = ("analytics_listen", "gateway_get_docs_file", "auth_log_out_everywhere")

# 412 and 422 also follow from what no schema can say: another version, a cursor that
# nobody was given, a range too long, a password that is not the present one.
_CONFIG = """
base-url = "{url}"
color = false
seed = 1
request-timeout = 60
continue-on-failure = true
headers = {{ Authorization = "Bearer ${{ECAP_TOKEN}}", X-Forwarded-For = "{address}" }}
[warnings]
enabled = false
[generation]
max-examples = {examples}
deterministic = true
[phases.examples]
enabled = false
[phases.stateful]
enabled = false
[[operations]]
include-operation-id = {left_out}
enabled = false
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "412", "422", "428", "429"]
[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "415", "422", "428", "429"]
"""


@pytest.fixture
async def document(door: httpx.AsyncClient) -> dict[str, Any]:
    found = (await door.get("/openapi.json")).json()
    assert "x-unavailable" not in found["info"]
    return dict(found)


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def closed(document: Mapping[str, Any], scopes: frozenset[str]) -> list[tuple[str, str, str]]:
    """Path, method and id of what these scopes do not open."""
    return [
        (path, method, operation["operationId"])
        for path, method, operation in operations(document)
        if operation.get("x-scope") and operation["x-scope"] not in scopes
    ]


@pytest.mark.parametrize("role", ["customer", "admin"])
async def test_every_operation_keeps_its_word(
    system: System,
    door: httpx.AsyncClient,
    admin: Person,
    document: dict[str, Any],
    role: Role,
    tmp_path: Path,
) -> None:
    # Not the administrator: whoever tries wrong passwords is slowed down at that account.
    who = await (hire(admin, "admin") if role == "admin" else register(door, "Fuzz Y"))
    await who.log_in()
    ids = [id_ for _, _, id_ in closed(document, scopes_of(["customer", role]))]
    assert len(ids) > 15 if role == "customer" else ids == []
    config = _CONFIG.format(
        url=system.url,
        address=who.address,
        examples=_EXAMPLES,
        left_out=json.dumps([*_LEFT_OUT, *ids]),
    )
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    (tmp_path / "schemathesis.toml").write_text(config)
    done = await asyncio.to_thread(
        lambda: subprocess.run(
            [_PROGRAM, "run", "openapi.json"],
            cwd=tmp_path,
            env={**os.environ, "ECAP_TOKEN": who.token},
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
        )
    )
    # Changes of accounts that were tried may have ended the access of anybody.
    await admin.log_in()
    assert done.returncode == 0, f"{done.stdout[-20000:]}\n{done.stderr[-2000:]}"


async def test_what_a_customer_may_not_do_is_forbidden(
    door: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    who = await register(door, "Plain Y")
    for path, method, _ in closed(document, scopes_of(["customer"])):
        real = "/".join(
            "0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b70" if part.startswith("{") else part
            for part in path.split("/")
        )
        answer = await who.ask(method.upper(), real)
        assert answer.status_code == 403, (method, path, answer.text)
        bare = await door.request(method, real)
        assert bare.status_code == 401, (method, path, bare.text)
