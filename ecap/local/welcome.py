"""What to do once everything runs: addresses, somebody to log in as, the next command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import aiohttp

from ecap.errors import Unavailable
from ecap.local.state.runtime import Runtime

DEMO_EMAIL = "demo@ecap.example"


async def register_demo_customer(runtime: Runtime, password: str) -> None:
    """Somebody to try the API as; registered at the first start. Raises Unavailable."""
    body = {"email": DEMO_EMAIL, "password": password, "display_name": "Demo Customer"}
    address = f"{runtime.front_door}/api/v1/auth/register"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10.0)) as client,
            client.post(address, json=body) as answer,
        ):
            status, text = answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError) as exc:
        trouble = str(exc) or type(exc).__name__
        raise Unavailable(f"the front door does not answer: {trouble}") from exc
    # 409: registered by an earlier start.
    if status not in {201, 409}:
        raise Unavailable(f"registering {DEMO_EMAIL}: {status} {text[:300]}")


def addresses(runtime: Runtime) -> Iterator[tuple[str, str]]:
    door = runtime.front_door
    yield "API and documentation", f"{door}/docs"
    yield "Readiness, metrics", f"{door}/readyz  {door}/metrics"
    if runtime.server("mail"):
        yield "Mail that was sent", f"http://127.0.0.1:{runtime.ports['mail_page']}/"
    if runtime.server("postgres"):
        yield "PostgreSQL", f"127.0.0.1:{runtime.ports['postgres']}, user and database ecap"
    yield "Logs and data", runtime.state_dir


def users(
    runtime: Runtime, *, command: str, demo_password_file: Path, show: bool
) -> Iterator[tuple[str, str]]:
    """`show` puts the demo customer's password itself on the screen."""
    known = (
        f"password {demo_password_file.read_text()}"
        if show
        else f"password in {demo_password_file}"
    )
    yield "A customer", f"{DEMO_EMAIL}, {known}"
    admin = runtime.environ.get("ECAP__AUTH__ADMIN_EMAIL")
    if admin:
        yield "The administrator", f"{admin}, password: {command} secret auth.admin_password"


def next_steps(command: str) -> Iterator[tuple[str, str]]:
    yield f"{command} demo", "real shoppers for a minute, and the books at the end"
    yield f"{command} status", "what runs, and its memory"
