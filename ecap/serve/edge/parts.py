"""What an edge needs of its process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ecap.config.member.member import Member
from ecap.mesh.identity import ServiceIdentity
from ecap.serve.edge.limits import Limiter
from ecap.serve.edge.revocations import Revocations
from ecap.serve.edge.tokens import TokenVerifier
from ecap.serve.endpoints.routing import Check


@dataclass(frozen=True)
class EdgeParts:
    """`state` is handed to the handlers.

    A caller that proves to be one of our services by `identity` is not counted
    against the limits: the request it works for was. `checks` say what it takes
    to be ready. `revocations` end open streams.
    """

    state: Any
    verifier: TokenVerifier
    limiter: Limiter | None
    identity: ServiceIdentity | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    member: Member | None = None
    revocations: Revocations | None = None
