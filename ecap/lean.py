"""pandas and pyarrow stay out of the processes that serve: 80 MB and half a second each.

Where they are installed, Ray imports pyarrow in every worker and Serve pandas in every
replica, without using them. Batch jobs do use them, and their workers are marked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder

_HEAVY = ("pandas", "pyarrow")
# In the `env_vars` of a job's runtime environment.
MARK = "ECAP_BATCH"


def keep_lean() -> None:
    """The worker setup hook of Ray in a pod; locally it is part of another."""
    if os.environ.get(MARK) != "1":
        sys.meta_path.insert(0, _Refusing())


class _Refusing(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:
        if name in _HEAVY:
            raise ModuleNotFoundError(
                f"{name} is kept out of processes that serve; a job of your own gets it with"
                f' ray.init(runtime_env={{"env_vars": {{"{MARK}": "1"}}}})',
                name=name,
            )
