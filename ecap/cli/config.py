"""`ecap config`: get, explain, diff, history, watch, validate, status."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ecap.cli import config_sources, config_view
from ecap.cli.main import fail
from ecap.config import accepted, redaction, schema
from ecap.config.history import DECISIONS, Entry, verify
from ecap.errors import EcapError, Misconfigured
from ecap.local.running import environ_here

app = typer.Typer(add_completion=False, no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="for programs")]
_POLL_S = 0.5


@app.command()
def get(
    prefix: Annotated[str, typer.Argument(help="a setting or a section; none: all")] = "",
    json: Json = False,
) -> None:
    """Print settings; secrets stay hidden."""
    try:
        if prefix and not schema.is_branch(prefix):
            schema.find(prefix)
        view = asyncio.run(config_view.present(environ_here()))
    except EcapError as exc:
        raise fail(exc) from exc
    found = accepted.values(view.leaves, prefix)
    if json:
        _json({"version": view.version, "note": view.note, "settings": found})
        return
    _note(view.note)
    for key, value in found.items():
        print(f"{key} = {_text(value)}")


@app.command()
def explain(
    key: Annotated[str, typer.Argument(help="a setting, as orders.currency")], json: Json = False
) -> None:
    """Where a setting has its value from, what it hides, whether it is live."""
    try:
        schema.find(key)
        view = asyncio.run(config_view.present(environ_here()))
        found = accepted.explain(view.found, view.leaves, view.since, key)
    except EcapError as exc:
        raise fail(exc) from exc
    if json:
        _json({**found, "version": view.version, "note": view.note})
        return
    _note(view.note)
    print(f"{key} = {_text(found['value'])}")
    if found["meaning"]:
        print(f"  {found['meaning']}")
    print(f"  live: {'no: ' + found['fixed'] if found['fixed'] else 'yes'}")
    table = _table("", "source", "value", "place", "since version")
    rows = [{**found, "since": found["since_version"]}, *found["hides"]]
    for number, row in enumerate(rows):
        since = row.get("since")
        table.add_row(
            "counts" if number == 0 else "hidden",
            row["source"],
            _text(row["value"]),
            row["place"] or "",
            "" if since is None else str(since),
        )
    Console().print(table)


@app.command()
def diff(
    left: Annotated[str, typer.Argument(help="a version by number, or an environment by name")],
    right: Annotated[str, typer.Argument(help="the same")],
    json: Json = False,
) -> None:
    """What differs. Exit code 1 when something does."""
    environ = environ_here()
    try:
        before, after = (asyncio.run(config_view.side(environ, name)) for name in (left, right))
    except EcapError as exc:
        raise fail(exc) from exc
    found = redaction.changes(before, after)
    if json:
        _json(found)
    else:
        _changes(found)
    if found:
        raise typer.Exit(1)


@app.command()
def history(
    limit: Annotated[int, typer.Option(min=1, help="entries, the newest")] = 20,
    json: Json = False,
) -> None:
    """Who changed what, and why. Exit code 1 when the history was altered."""
    try:
        entries = asyncio.run(config_view.entries(environ_here()))
        verify(entries)
    except EcapError as exc:
        raise fail(exc) from exc
    chosen = entries[-limit:]
    if json:
        _json([msgspec.to_builtins(entry) for entry in chosen])
        return
    table = _table("version", "when", "what", "who", "why", "changes")
    for entry in chosen:
        table.add_row(*_entry(entry))
    Console().print(table)
    print(f"{len(entries)} entries, unaltered")


@app.command()
def watch(json: Json = False) -> None:
    """Print each new version as it is decided, until Ctrl-C."""
    try:
        asyncio.run(_watch(json=json))
    except KeyboardInterrupt:
        return
    except EcapError as exc:
        raise fail(exc) from exc


async def _watch(*, json: bool) -> None:
    async with config_view.open_history(environ_here()) as kept:
        last = await kept.last()
        seq = last.seq if last else 0
        while True:
            for entry in await kept.entries(after_seq=seq):
                seq = entry.seq
                if json:
                    _json(msgspec.to_builtins(entry))
                elif entry.kind in DECISIONS or entry.kind == "refused":
                    print("  ".join(part for part in _entry(entry) if part), flush=True)
            await asyncio.sleep(_POLL_S)


@app.command()
def validate(
    environment: Annotated[
        str | None, typer.Option(help="development, staging or production; none: all three")
    ] = None,
    json: Json = False,
) -> None:
    """Check the files and variables. Exit code 1 when something is wrong."""
    names = [environment] if environment else ["development", "staging", "production"]
    problems: dict[str, str | None] = {}
    for name in names:
        try:
            config_view.configured({**os.environ, "ECAP_ENVIRONMENT": name})
            problems[name] = None
        except Misconfigured as exc:
            problems[name] = exc.detail
    if json:
        _json(problems)
    else:
        for name, problem in problems.items():
            print(f"{name}: {problem or 'valid'}")
    if any(problems.values()):
        raise typer.Exit(1)


@app.command()
def status(json: Json = False) -> None:
    """The version that runs, each source's health, the age of the key. Exit code 1 when
    a source cannot be read."""
    try:
        found = asyncio.run(config_sources.status(environ_here(), now=time.time()))
    except EcapError as exc:
        raise fail(exc) from exc
    if json:
        _json(found)
    else:
        _status(found)
    if not all(source["reachable"] and not source["last_error"] for source in found["sources"]):
        raise typer.Exit(1)


def _status(found: dict[str, Any]) -> None:
    print(f"version: {found['version'] if found['version'] is not None else 'none has run yet'}")
    if found["history_error"]:
        print(f"history: {found['history_error']}")
    table = _table("source", "state", "lease left", "")
    for source in found["sources"]:
        well = source["reachable"] and not source["last_error"]
        left = source["lease_left_s"]
        table.add_row(
            source["source"],
            "[green]well[/]" if well else "[red]not well[/]",
            "" if left is None else f"{left:.0f} s",
            source["last_error"] or "",
        )
    Console().print(table)
    members = found["members"]
    if members:
        runs = ", ".join(f"{name}: {version}" for name, version in sorted(members.items()))
        print(f"members at the last settlement: {runs}")


def _entry(entry: Entry) -> tuple[str, ...]:
    changes = entry.body.get("changes") or {}
    parts = [f"{key}: {_text(c.get('from'))} -> {_text(c.get('to'))}" for key, c in changes.items()]
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
    why = entry.body.get("why") or entry.reason
    return (str(entry.version), when, entry.kind, entry.author, why, "; ".join(parts))


def _changes(found: dict[str, dict[str, Any]]) -> None:
    table = _table("setting", "left", "right")
    for key, change in found.items():
        table.add_row(key, _text(change.get("from")), _text(change.get("to")))
    Console().print(table if found else "no difference")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _text(value: Any) -> str:
    return "unset" if value is None else value if isinstance(value, str) else _encoded(value)


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _json(value: Any) -> None:
    sys.stdout.write(_encoded(value) + "\n")
    sys.stdout.flush()


def _note(note: str | None) -> None:
    if note:
        print(f"({note})", file=sys.stderr)
