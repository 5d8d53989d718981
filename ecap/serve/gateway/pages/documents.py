"""One OpenAPI document of all services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ecap import logs
from ecap.errors import EcapError
from ecap.mesh import MeshClient
from ecap.serve.endpoints import openapi
from ecap.serve.gateway.prefixes import PREFIXES

Document = Mapping[str, Any]

_log = logs.get("ecap.gateway")
_TITLE = "ECAP"
_HOLDS_S = 60.0
_HOLDS_INCOMPLETE_S = 5.0
_TIMEOUT_S = 2.0
_ABOUT = (
    "Errors are RFC 9457 problem documents. Send `Authorization: Bearer <access token>`,"
    " which `POST /api/v1/auth/login` answers."
)


@dataclass(frozen=True)
class Known:
    """`missing` are services whose document was never seen."""

    documents: tuple[Document, ...]
    missing: tuple[str, ...]


class Catalogue:
    """Fetches what the replicas serve, so that it tells of what runs and not of what
    this gateway was built with. Of a service that is away, the last document is kept."""

    def __init__(self, services: Callable[[str], MeshClient]) -> None:
        self._services = services
        self._known: dict[str, Document] = {}

    async def fetch(self) -> tuple[Known, float]:
        """And for how many seconds it holds."""
        fetched = await asyncio.gather(*(self._fetch(name) for name in PREFIXES))
        known = Known(
            documents=tuple(self._known[name] for name in PREFIXES if name in self._known),
            missing=tuple(name for name in PREFIXES if name not in self._known),
        )
        return known, _HOLDS_S if all(fetched) else _HOLDS_INCOMPLETE_S

    async def _fetch(self, name: str) -> bool:
        target = f"GET {PREFIXES[name]}/openapi.json"
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                self._known[name] = await self._services(name).call(target, idempotent=True)
        except (EcapError, TimeoutError) as exc:
            _log.warning("no OpenAPI document", extra={"callee": name, "trouble": str(exc)})
            return False
        return True


def merged(own: Document, known: Known) -> dict[str, Any]:
    """Services that are missing are named in `info.x-unavailable`."""
    whole = openapi.merge([own, *known.documents], title=_TITLE)
    whole["info"]["description"] = _ABOUT
    whole["servers"] = [{"url": "/"}]
    if known.missing:
        whole["info"]["x-unavailable"] = list(known.missing)
    return whole
