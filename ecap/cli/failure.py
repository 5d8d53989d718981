"""How a command ends that cannot do what it was asked."""

from __future__ import annotations

import sys

import typer

from ecap.errors import EcapError, Retryable

_UNREACHED = 3


def fail(error: Exception, *, hint: str | None = None) -> typer.Exit:
    """One clear sentence on stderr, for `raise fail(error)`."""
    print(f"ecap: {error}", file=sys.stderr)
    if hint:
        print(f"      {hint}", file=sys.stderr)
    return typer.Exit(1)


def failed(error: EcapError) -> typer.Exit:
    """Exit code 1 for what was refused, 3 for what could not be asked."""
    said = fail(error)
    return typer.Exit(_UNREACHED) if isinstance(error, Retryable) else said
