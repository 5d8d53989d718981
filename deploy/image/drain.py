"""preStop of a worker: hand its replicas to other nodes before it ends.

KubeRay does not drain on eviction (kuberay #1333). Ray does, when it is told that the
node is about to be taken: Serve starts replacements elsewhere, then stops routing here.
A worker ends all the same after the deadline, and when Ray cannot be asked: a hook that
fails would only end the worker at once.

Written against Ray 2.60; `drain_node` of GcsClient is not part of its public interface.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from ray._raylet import GcsClient
from ray.core.generated import autoscaler_pb2, gcs_pb2

_POLL_S = 1.0
_ANSWER_S = 5.0
_REPLICA = "SERVE_REPLICA::"
# HAProxies elsewhere hear of replicas that left within this; requests under way end.
_SETTLE_S = 10.0


def node_here(gcs: GcsClient, ip: str) -> str | None:
    """The hexadecimal id of the living node with this address."""
    for node_id, info in gcs.get_all_node_info().items():
        alive = info.state == gcs_pb2.GcsNodeInfo.GcsNodeState.ALIVE
        if alive and info.node_manager_address == ip:
            return str(node_id.hex())
    return None


def replicas_left(gcs: GcsClient, node_id: str) -> int:
    """Serve's replicas there. Ray does not move other actors; it restarts them elsewhere
    when the node has gone, so waiting for them would only take their time."""
    alive = gcs_pb2.ActorTableData.ActorState.ALIVE
    found = asyncio.run(_actors(gcs))
    return sum(
        1
        for info in found.values()
        if info.name.startswith(_REPLICA)
        and info.state == alive
        and info.address.node_id.hex() == node_id
    )


async def _actors(gcs: GcsClient) -> Mapping[Any, Any]:
    # Only the asynchronous client has it; it wants a running loop when it is called.
    found: Mapping[Any, Any] = await gcs.async_get_all_actor_info(timeout=_ANSWER_S)
    return found


def drain(address: str, ip: str, deadline_s: int) -> bool:
    """Whether nothing was left before the deadline."""
    gcs = GcsClient(address=address)
    node_id = node_here(gcs, ip)
    if node_id is None:
        print(f"drain: no living node has the address {ip}")
        return False
    end = time.monotonic() + deadline_s
    accepted, reason = gcs.drain_node(
        node_id,
        autoscaler_pb2.DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION,
        "the pod is being ended",
        int((time.time() + deadline_s) * 1000),
    )
    if not accepted:
        print(f"drain: refused: {reason}")
        return False
    while (left := replicas_left(gcs, node_id)) and time.monotonic() < end:
        time.sleep(_POLL_S)
    print(f"drain: {left} replicas left")
    time.sleep(max(0.0, min(_SETTLE_S, end - time.monotonic())))
    return not left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deadline-s", type=int, required=True)
    arguments = parser.parse_args()
    # KubeRay sets both in every container of Ray.
    drain(os.environ["RAY_ADDRESS"], os.environ["POD_IP"], arguments.deadline_s)


if __name__ == "__main__":
    sys.exit(main())
