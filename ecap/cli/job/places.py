"""Which place a command means: this machine, or a cluster."""

from __future__ import annotations

import os
from pathlib import Path

from ecap.cli.job.face import Place
from ecap.cli.job.here import Here
from ecap.config import load
from ecap.config.settings.connections.kubernetes import Kubernetes
from ecap.local.jobs import Jobs
from ecap.local.state.folder import open_state


def of(cluster: bool, *, context: str | None, namespace: str, release: str) -> Place:
    settings = load(secrets=False)
    if not cluster:
        return Here(Jobs(open_state(settings.state_dir)))
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    kubeconfig = Path(named or "~/.kube/config").expanduser()
    chosen = Kubernetes(kubeconfig=kubeconfig, context=context)
    # Late: the client of Kubernetes takes a second to import.
    from ecap.cli.job.cluster import OnCluster

    return OnCluster(chosen, namespace=namespace, release=release)
