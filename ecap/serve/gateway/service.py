"""What a gateway replica holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ecap.actors.supervisor import SUPERVISOR
from ecap.config.settings.tree import Settings
from ecap.mesh import CallPolicy, MeshClient
from ecap.serve.gateway.audit.store import AuditLog
from ecap.serve.gateway.config.desk import HubDesk
from ecap.serve.gateway.pages.documents import Catalogue, Known
from ecap.serve.gateway.pages.fresh import Fresh
from ecap.serve.gateway.pages.readiness import WholeReadiness
from ecap.serve.replica.health import CHECK_TIMEOUT_S
from ecap.serve.replica.process import Process

_ASK_ONCE = CallPolicy(attempts=1, timeout_s=CHECK_TIMEOUT_S)


@dataclass(frozen=True)
class Gateway:
    services: Callable[[str], MeshClient]
    settings: Callable[[], Settings]
    documents: Fresh[Known]
    readiness: Fresh[Mapping[str, str]]
    hub: HubDesk
    audit: AuditLog


@asynccontextmanager
async def opened(process: Process) -> AsyncIterator[Gateway]:
    supervisor = None
    if process.actors is not None:
        supervisor = MeshClient(SUPERVISOR, process.actors.transport(SUPERVISOR), _ASK_ONCE)
    readiness = WholeReadiness(process.checks, process.services, supervisor)
    yield Gateway(
        services=process.services,
        settings=lambda: process.settings,
        documents=Fresh(Catalogue(process.services).fetch),
        readiness=Fresh(readiness.look),
        hub=HubDesk.of(process),
        audit=AuditLog(process.pool),
    )
