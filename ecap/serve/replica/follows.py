"""What a replica does when its configuration changes.

Most of it reads `process.settings` where it uses it, and needs to do nothing; here is
what is made from settings and has to be made again. A service adds what it made to
`process.follows`.
"""

from __future__ import annotations

from ecap import spans
from ecap.config.member import follows
from ecap.config.member.follows import LEVEL, Follow
from ecap.config.settings.connections.postgres import Postgres
from ecap.config.settings.http import Http
from ecap.config.settings.limits import Limits
from ecap.config.settings.mesh import Mesh
from ecap.mesh.identity import imported
from ecap.serve.edge.asgi import Edge
from ecap.serve.edge.limits import ClientAddress
from ecap.serve.replica.process import Process, fixed_tokens, service_key


def follow(process: Process, edge: Edge) -> None:
    """Called once, when the service is open and before it takes part."""

    def http(new: Http) -> None:
        edge.reconfigure(http=new)
        process.verifier.accept(fixed_tokens(new))

    def limits(new: Limits) -> None:
        edge.reconfigure(rate=new)
        if process.limiter is not None:
            process.limiter.reconfigure(lease_s=new.lease_s)

    def mesh(new: Mesh) -> None:
        process.identity.replace_key(service_key(new))
        process.clients.reconfigure(new)

    def skew(new_s: float) -> None:
        process.verifier.reconfigure(skew_s=new_s)

    follows.follow(
        process.member,
        (
            LEVEL,
            Follow("http", Http, http, check=lambda new: ClientAddress(new.trusted_proxies)),
            Follow("limits", Limits, limits),
            Follow("mesh", Mesh, mesh, check=lambda new: imported(service_key(new))),
            Follow("postgres", Postgres, process.pool.reconfigure),
            Follow("auth.clock_skew_s", float, skew),
            Follow("telemetry.sample_ratio", float, spans.sample),
            *process.follows,
        ),
    )
