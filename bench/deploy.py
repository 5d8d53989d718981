"""The no-op variants as applications of the running system: `python -m bench.deploy`.

A process of its own, because Ray reads its environment when it is imported.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import ray
from ray import serve

from bench.noop import VARIANTS, Variant, empty_edge
from ecap.actors.garbage import collect_rarely
from ecap.actors.reach import NAMESPACE, RayActors
from ecap.config import load
from ecap.runtime.applications import options
from ecap.serve.edge.asgi import Edge


def application(variant: Variant) -> Any:
    def in_replica() -> Edge:
        settings = load()
        sys.stdout = sys.__stdout__
        collect_rarely()
        return empty_edge(variant, settings, actors=RayActors(settings))

    chosen = options(load(secrets=False), "catalog") | {"name": f"bench-{variant.name}"}
    return serve.deployment(**chosen)(serve.ingress(in_replica)()).bind()


def main() -> None:
    ray.init(address=os.environ["RAY_ADDRESS"], namespace=NAMESPACE, log_to_driver=False)
    serve.run_many(
        [
            serve.RunTarget(target=application(v), name=f"bench-{v.name}", route_prefix=v.prefix)
            for v in VARIANTS
        ]
    )


if __name__ == "__main__":
    main()
