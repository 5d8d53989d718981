"""Ray actors as a caller sees them: found by name, found again when replaced.

Apart from `ecap.runtime`, so that replicas do not import what actors are made of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayActorError, RayError, RayTaskError

from ecap.actors.hub_link import CONFIG, HubConnection
from ecap.actors.limits.borrower import LeasedLimiter
from ecap.actors.limits.ledger import LIMITS
from ecap.actors.stream.directory import Directory
from ecap.actors.stream.questions import ShardClient
from ecap.actors.wire.calls import SocketTransport
from ecap.actors.wire.packets import question, unpacked
from ecap.clients.postgres import Pool
from ecap.config.settings.tree import Settings
from ecap.errors import DeadlineExceeded, EcapError, Unavailable
from ecap.mesh import CallPolicy, MeshClient, MeshClients, Transport, Unreached

NAMESPACE = "ecap"

_LEASE_POLICY = CallPolicy(
    timeout_s=0.25, attempts=1, idempotent=True, max_concurrency=2, max_queue=8
)


def find(name: str) -> Any:
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return None


class RayActorTransport:
    """To an actor by name; finds it again after it was replaced."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._handle: Any = None

    async def send(
        self, method: str, payload: Any, headers: Mapping[str, str], timeout_s: float
    ) -> Any:
        if self._handle is None:
            # Asks the cluster and imports the actor's class: other requests must not wait.
            self._handle = await asyncio.to_thread(find, self._name)
        if self._handle is None:
            raise Unreached(f"no actor is called {self._name}")
        asked = question(method, payload, headers)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._handle.call.remote(asked)
        except TimeoutError as exc:
            raise DeadlineExceeded(f"{self._name}: no answer in {timeout_s:.3f} s") from exc
        except ActorDiedError as exc:
            self._handle = None
            raise Unavailable(f"{self._name} has died", retry_after_s=0.1) from exc
        except RayActorError as exc:
            raise Unavailable(f"{self._name} is restarting", retry_after_s=0.1) from exc
        except RayTaskError as exc:
            raise EcapError(f"{self._name}: {method} failed: {exc.cause!r}") from exc
        except RayError as exc:
            raise Unavailable(f"{self._name}: {type(exc).__name__}") from exc
        return unpacked(answer)


class RayActors:
    """What a process needs of the actors (see `serve.replica.process.Actors`): one for all."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._transports: dict[str, Transport] = {}

    def transport(self, actor: str) -> Transport:
        """One and the same each time, so that its connection is shared."""
        found = self._transports.get(actor)
        if found is None:
            found = self._transports[actor] = self._made(actor)
        return found

    def _made(self, actor: str) -> Transport:
        through_ray = RayActorTransport(actor)
        folder = self._settings.mesh.socket_dir
        return SocketTransport(actor, folder, beyond=through_ray) if folder else through_ray

    def close(self) -> None:
        """For a process that goes on without them; the end of one closes as well."""
        for transport in self._transports.values():
            if isinstance(transport, SocketTransport):
                transport.close()

    def limiter(self, service: str) -> LeasedLimiter:
        client = MeshClient(LIMITS, self.transport(LIMITS), _LEASE_POLICY)

        async def lease(requests: Any) -> Any:
            return await client.call("lease", requests)

        return LeasedLimiter(lease, service=service, lease_s=self._settings.limits.lease_s)

    def hub(self) -> HubConnection:
        return HubConnection(self.transport(CONFIG), hold_s=self._settings.hub.hold_s)

    def shards(self, pool: Pool, *, clients: MeshClients) -> ShardClient:
        return ShardClient(Directory(pool), lambda actor: clients.of(actor, self.transport))
