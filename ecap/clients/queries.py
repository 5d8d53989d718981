"""Named SQL: the blocks of a file beside the code that runs them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources

_NAME = re.compile(r"^--\s*name:\s*(\w+)\s*$", re.MULTILINE)


def load_queries(package: str, name: str = "queries.sql") -> Mapping[str, str]:
    """The blocks of a SQL file, by the name in `-- name: ...` above each."""
    text = resources.files(package).joinpath(name).read_text()
    parts = _NAME.split(text)
    return {parts[i]: parts[i + 1].strip() for i in range(1, len(parts), 2)}
