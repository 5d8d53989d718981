"""How a command ends that cannot do what it was asked."""

from __future__ import annotations

import sys

import typer


def fail(error: Exception, *, hint: str | None = None) -> typer.Exit:
    """One clear sentence on stderr, for `raise fail(error)`."""
    print(f"ecap: {error}", file=sys.stderr)
    if hint:
        print(f"      {hint}", file=sys.stderr)
    return typer.Exit(1)
