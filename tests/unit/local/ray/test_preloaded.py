"""What workers import is imported before they are forked."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

from ecap.config.settings.services.deployments import ServiceName
from ecap.local.ray import forkserver


def test_every_service_is_imported_once_for_all() -> None:
    """Read, not imported: it loads Ray."""
    tree = ast.parse(Path(forkserver.__file__).with_name("preloaded.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {f"ecap.serve.{name}" for name in get_args(ServiceName)} <= imported
