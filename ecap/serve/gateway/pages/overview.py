"""What a customer sees first, from several services at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ecap.errors import EcapError
from ecap.mesh import MeshClient
from ecap.serve.gateway.models import Overview, Part

_TIMEOUT_S = 1.0
_PROFILE = ("users", "GET /api/v1/users/me")
_ORDERS = ("orders", "GET /api/v1/orders?limit=5")
_NOTIFICATIONS = ("notifications", "GET /api/v1/notifications?limit=5")


async def overview(services: Callable[[str], MeshClient]) -> Overview:
    """The calls carry the caller's own token: nobody sees more here than there."""
    profile, orders, notifications = await asyncio.gather(
        *(_part(services(name), target) for name, target in (_PROFILE, _ORDERS, _NOTIFICATIONS))
    )
    return Overview(profile=profile, orders=orders, notifications=notifications)


async def _part(service: MeshClient, target: str) -> Part:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return Part(status="ok", value=await service.call(target, idempotent=True))
    except EcapError as exc:
        return Part(status="unavailable", reason=exc.title)
    except TimeoutError:
        return Part(status="unavailable", reason=f"no answer within {_TIMEOUT_S:g} s")
