"""preStop of a worker: hand its replicas and actors to other nodes before it ends.

KubeRay does not drain on eviction (kuberay #1333). Ray does, when it is told that the
node is about to be taken: Serve starts replacements elsewhere, then stops routing here.
A worker ends all the same after the deadline, and when Ray cannot be asked: a hook that
fails would only end the worker at once.

Written against Ray 2.60; `drain_node` of GcsClient is not part of its public interface.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from ray._raylet import GcsClient
from ray.core.generated import autoscaler_pb2, gcs_pb2

_POLL_S = 1.0
# HAProxies elsewhere hear of replicas that left within this; requests under way end.
_SETTLE_S = 10.0


def node_here(gcs: GcsClient, ip: str) -> str | None:
    """The hexadecimal id of the living node with this address."""
    for node_id, info in gcs.get_all_node_info().items():
        alive = info.state == gcs_pb2.GcsNodeInfo.GcsNodeState.ALIVE
        if alive and info.node_manager_address == ip:
            return str(node_id.hex())
    return None


def actors_left(gcs: GcsClient, node_id: str) -> int:
    """Living actors there: replicas, and what the keeper runs."""
    alive = gcs_pb2.ActorTableData.ActorState.ALIVE
    found = gcs.get_all_actor_info(timeout=5.0)
    return sum(
        1
        for info in found.values()
        if info.state == alive and info.address.node_id.hex() == node_id
    )


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
    while (left := actors_left(gcs, node_id)) and time.monotonic() < end:
        time.sleep(_POLL_S)
    print(f"drain: {left} actors left")
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
