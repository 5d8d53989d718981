"""What every Ray worker does first: of a local ECAP the first hook, in a pod the second.

Named in Ray's worker setup hook; imports nothing of ECAP, because each of some
twenty processes pays for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ray._common import tls_utils
from ray._private import arrow_serialization

_add_port: Callable[[Any, str], int] = tls_utils.add_port_to_grpc_server


def stay_on_loopback() -> None:
    """Replicas bind their internal gRPC server to all interfaces, with no option."""
    tls_utils.add_port_to_grpc_server = _on_loopback
    without_arrow()


def without_arrow() -> None:
    """Where pyarrow is installed, Ray imports it in every process: 36 MB for each replica.

    It registers how slices of tables are pickled, which only the workers of batch jobs
    need (`ecap.pipelines.batch.remote` marks them).
    """
    if os.environ.get("ECAP_BATCH") != "1":
        arrow_serialization._register_custom_datasets_serializers = _nothing


def _nothing(serialization_context: Any) -> None:
    pass


def _on_loopback(server: Any, address: str) -> int:
    return _add_port(server, address.replace("[::]:", "127.0.0.1:"))
