"""`ecap config`: what is set, from where, and changes to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ecap.cli.config import changes, history, output
from ecap.cli.config.output import Url
from ecap.cli.config.view import configured, present, side
from ecap.cli.door import open_door
from ecap.cli.options import Json
from ecap.config.hub import accepted
from ecap.config.layers import redaction, schema
from ecap.errors import EcapError, Invalid, Misconfigured
from ecap.local.state.running import environ_here

app = typer.Typer(add_completion=False, no_args_is_help=True)
app.command("set")(changes.set_)
app.command()(changes.unset)
app.command()(changes.rollback)
app.command()(history.history)
app.command()(history.watch)
app.command()(history.status)


@app.command()
def get(
    prefix: Annotated[str, typer.Argument(help="a setting or a section; none: all")] = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """Print settings; secrets stay hidden."""
    note: str | None = None
    try:
        if prefix and not schema.is_branch(prefix):
            schema.find(prefix)
        if url is not None:
            with open_door(url) as door:
                told = door.get("", prefix=prefix)
            version = told.version
            found = {one["key"]: one.get("value") for one in told.document["settings"]}
        else:
            view = asyncio.run(present(environ_here()))
            version, note = view.version, view.note
            found = accepted.values(view.found, view.leaves, prefix)
    except EcapError as exc:
        raise output.failed(exc) from exc
    if json:
        output.json({"version": version, "note": note, "settings": found})
        return
    output.note(note)
    for key, value in found.items():
        print(f"{key} = {output.text(value)}")


@app.command()
def explain(
    key: Annotated[str, typer.Argument(help="a setting, as orders.currency")],
    url: Url = None,
    json: Json = False,
) -> None:
    """Where a setting has its value from, what it hides, whether it is live."""
    note: str | None = None
    try:
        schema.find(key)
        if url is not None:
            with open_door(url) as door:
                told = door.get(f"/{key}")
            found, version = told.document, told.version
        else:
            view = asyncio.run(present(environ_here()))
            found = accepted.explain(view.found, view.leaves, view.since, key)
            version, note = view.version, view.note
    except EcapError as exc:
        raise output.failed(exc) from exc
    if json:
        output.json({**found, "version": version, "note": note})
        return
    output.note(note)
    _explain(key, found)


def _explain(key: str, found: Mapping[str, Any]) -> None:
    print(f"{key} = {output.text(found.get('value'))}")
    if found.get("meaning"):
        print(f"  {found['meaning']}")
    print(f"  live: {'no: ' + found['fixed'] if found.get('fixed') else 'yes'}")
    table = output.table("", "source", "value", "place", "since version")
    rows = [{**found, "since": found.get("since_version")}, *found["hides"]]
    for number, row in enumerate(rows):
        since = row.get("since")
        table.add_row(
            "counts" if number == 0 else "hidden",
            row["source"],
            output.text(row.get("value")),
            row.get("place") or "",
            "" if since is None else str(since),
        )
    output.show(table)


@app.command()
def diff(
    left: Annotated[str, typer.Argument(help="a version by number, or an environment by name")],
    right: Annotated[str, typer.Argument(help="the same")],
    url: Url = None,
    json: Json = False,
) -> None:
    """What differs. Exit code 1 when something does."""
    sides = ("left", "right") if url is not None else ("from", "to")
    try:
        if url is not None:
            found = _diff_there(url, left, right)
        else:
            environ = environ_here()
            before, after = (asyncio.run(side(environ, one)) for one in (left, right))
            # Of an environment the references stand there, of a version what they stand for.
            versions = left.isdigit() or right.isdigit()
            show = redaction.resolved if versions else redaction.shown
            found = redaction.changes(before, after, show=show)
    except EcapError as exc:
        raise output.failed(exc) from exc
    if json:
        output.json(found)
    else:
        output.changes(found, left=sides[0], right=sides[1])
    if found:
        raise typer.Exit(1)


def _diff_there(url: str, left: str, right: str) -> dict[str, Any]:
    if not (left.isdigit() and right.isdigit()):
        raise Invalid("a running ECAP compares versions, by number", field="left")
    with open_door(url) as door:
        return dict(door.get("/diff", left=left, right=right).document["changes"])


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
            configured({**os.environ, "ECAP_ENVIRONMENT": name})
            problems[name] = None
        except Misconfigured as exc:
            problems[name] = exc.detail
    if json:
        output.json(problems)
    else:
        for name, problem in problems.items():
            print(f"{name}: {problem or 'valid'}")
    if any(problems.values()):
        raise typer.Exit(1)
