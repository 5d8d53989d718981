"""What every Ray worker of a local ECAP does first.

Named in Ray's worker setup hook; imports next to nothing of ECAP, because each of
some twenty processes pays for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray._common import tls_utils

from ecap.lean import keep_lean

_add_port: Callable[[Any, str], int] = tls_utils.add_port_to_grpc_server


def stay_on_loopback() -> None:
    """Replicas bind their internal gRPC server to all interfaces, with no option."""
    keep_lean()
    tls_utils.add_port_to_grpc_server = _on_loopback


def _on_loopback(server: Any, address: str) -> int:
    return _add_port(server, address.replace("[::]:", "127.0.0.1:"))
