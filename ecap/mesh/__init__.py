"""What a call to another service or actor goes through."""

from ecap.mesh.breaker import State
from ecap.mesh.client import MeshClient
from ecap.mesh.clients import MeshClients
from ecap.mesh.context import CallContext, current, use
from ecap.mesh.identity import ANONYMOUS, Principal, ServiceIdentity
from ecap.mesh.policy import BreakerPolicy, CallPolicy
from ecap.mesh.trace import Trace
from ecap.mesh.transport import Transport, Unreached

__all__ = [
    "ANONYMOUS",
    "BreakerPolicy",
    "CallContext",
    "CallPolicy",
    "MeshClient",
    "MeshClients",
    "Principal",
    "ServiceIdentity",
    "State",
    "Trace",
    "Transport",
    "Unreached",
    "current",
    "use",
]
