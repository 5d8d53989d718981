"""How `ecap config` prints: tables for people, JSON for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from ecap.cli import failure, options
from ecap.cli.config.names import Names
from ecap.config.hub.history import Entry

Url = options.Url
failed = failure.failed


def table(*columns: str) -> Table:
    made = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def show(what: Any) -> None:
    Console().print(what)


def text(value: Any) -> str:
    return "unset" if value is None else value if isinstance(value, str) else _encoded(value)


def json(value: Any) -> None:
    sys.stdout.write(_encoded(value) + "\n")
    sys.stdout.flush()


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def note(said: str | None) -> None:
    if said:
        print(f"({said})", file=sys.stderr)


def changes(found: Mapping[str, Mapping[str, Any]], *, left: str, right: str) -> None:
    made = table("setting", "left", "right")
    for key, change in found.items():
        made.add_row(key, text(change.get(left)), text(change.get(right)))
    show(made if found else "no difference")


def entry_row(entry: Entry, names: Names) -> tuple[str, ...]:
    found = entry.body.get("changes") or {}
    parts = [f"{key}: {text(c.get('from'))} -> {text(c.get('to'))}" for key, c in found.items()]
    why = entry.body.get("why") or entry.reason
    who = names.of(entry.author)
    return (str(entry.version), _when(entry.at), entry.kind, who, why, "; ".join(parts))


def told_row(entry: Mapping[str, Any], names: Names) -> tuple[str, ...]:
    """The same of an entry that came over HTTP."""
    parts = [
        f"{key}: {text(c.get('left'))} -> {text(c.get('right'))}"
        for key, c in entry["changes"].items()
    ]
    at = datetime.fromisoformat(entry["at"]).timestamp()
    why = entry.get("why") or entry["reason"]
    who = names.of(entry["author"])
    return (str(entry["version"]), _when(at), entry["what"], who, why, "; ".join(parts))


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
