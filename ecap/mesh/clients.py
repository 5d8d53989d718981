"""The clients of one process: one a callee, made when it is first called."""

from __future__ import annotations

from collections.abc import Callable

from ecap.config.settings.mesh import Mesh
from ecap.mesh.client import MeshClient
from ecap.mesh.policy import CallPolicy
from ecap.mesh.transport import Transport


class MeshClients:
    def __init__(self, settings: Mesh) -> None:
        self._settings = settings
        self._clients: dict[str, MeshClient] = {}

    def of(self, callee: str, connect: Callable[[str], Transport]) -> MeshClient:
        """One and the same each time; `connect` makes the transport of the first."""
        client = self._clients.get(callee)
        if client is None:
            client = MeshClient(callee, connect(callee), self.policy(callee))
            self._clients[callee] = client
        return client

    def policy(self, callee: str) -> CallPolicy:
        settings = self._settings
        return CallPolicy.from_settings(settings.callees.get(callee, settings.default))

    def reconfigure(self, settings: Mesh) -> None:
        """For clients there are and those that are made later."""
        self._settings = settings
        for callee, client in self._clients.items():
            client.reconfigure(self.policy(callee))
