"""A route that does nothing, behind the edge with and without identity and limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ecap.config import Settings
from ecap.serve.edge.asgi import Edge
from ecap.serve.endpoints.models import Model
from ecap.serve.endpoints.routing import Api, Call
from ecap.serve.replica.process import Actors, Process
from ecap.serve.replica.replica import build


class Ok(Model):
    ok: bool


@dataclass(frozen=True)
class Variant:
    name: str
    identity: bool
    limits: bool

    @property
    def prefix(self) -> str:
        return f"/bench/{self.name}"


PLAIN = Variant("plain", identity=False, limits=False)
VARIANTS = (
    PLAIN,
    Variant("identity", identity=True, limits=False),
    Variant("limits", identity=False, limits=True),
    Variant("both", identity=True, limits=True),
)


async def noop(call: Call[None]) -> Ok:
    """Nothing."""
    return Ok(ok=True)


@asynccontextmanager
async def _nothing(_: Process) -> AsyncIterator[None]:
    yield None


def empty_edge(variant: Variant, settings: Settings, *, actors: Actors | None = None) -> Edge:
    api = Api(f"bench-{variant.name}", prefix=variant.prefix, title="bench")
    api.get("/noop", scope="profile:read" if variant.identity else None)(noop)
    limits = settings.limits.model_copy(update={"enabled": variant.limits})
    return build(api, _nothing, settings.model_copy(update={"limits": limits}), actors=actors)
