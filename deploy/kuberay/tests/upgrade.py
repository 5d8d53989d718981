"""When KubeRay builds a second cluster: when this hash changes.

As GenerateHashWithoutReplicasAndWorkersToDelete of v1.7.0 (controllers/ray/utils/util.go), over
what `rayClusterSpecForHashing` gives it.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

from chart import Doc
from schemas import without_nulls

_POD = ("tolerations", "schedulingGates")
_GROUP = ("replicas", "minReplicas", "maxReplicas")


def cluster_hash(cluster: Doc) -> str:
    spec: dict[str, Any] = copy.deepcopy(cluster)
    spec.pop("suspend", None)
    spec.pop("upgradeStrategy", None)
    for group in (spec["headGroupSpec"], *spec.get("workerGroupSpecs", [])):
        for key in _POD:
            group["template"]["spec"].pop(key, None)
    for group in spec.get("workerGroupSpecs", []):
        for key in _GROUP:
            group.pop(key, None)
        group.get("scaleStrategy", {}).pop("workersToDelete", None)
    text = json.dumps(without_nulls(spec), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
