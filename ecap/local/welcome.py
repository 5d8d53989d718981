"""What to do once everything runs: addresses, somebody to log in as, the next command."""

from __future__ import annotations

from collections.abc import Iterator

from ecap.local.runtime import Runtime


def addresses(runtime: Runtime) -> Iterator[tuple[str, str]]:
    door = runtime.front_door
    yield "API and documentation", f"{door}/docs"
    yield "Readiness, metrics", f"{door}/readyz  {door}/metrics"
    if runtime.server("mail"):
        yield "Mail that was sent", f"http://127.0.0.1:{runtime.ports['mail_page']}/"
    if runtime.server("postgres"):
        yield "PostgreSQL", f"127.0.0.1:{runtime.ports['postgres']}, user and database ecap"
    yield "Logs and data", runtime.state_dir
