"""`ecap config history`, `watch` and `status`: what happened, and who runs what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import msgspec
import typer

from ecap.cli.config import inspection, output, view
from ecap.cli.config.names import Names
from ecap.cli.config.output import Url
from ecap.cli.door import Door, open_door
from ecap.cli.options import Json
from ecap.config.hub.history import DECISIONS, verify
from ecap.errors import EcapError, NotFound, Unavailable
from ecap.local.state.running import environ_here

_POLL_S = 0.5
_PAGE = 100
_TOLD = frozenset({*DECISIONS, "refused"})
_STYLES = {"current": "green", "behind": "yellow", "refused": "red", "silent": "red"}


def history(
    limit: Annotated[int, typer.Option(min=1, help="entries, the newest")] = 20,
    url: Url = None,
    json: Json = False,
) -> None:
    """Who changed what, and why. Exit code 1 when the history was altered."""
    made = output.table("version", "when", "what", "who", "why", "changes")
    try:
        if url is not None:
            with open_door(url) as door:
                told = _newest(door, limit)
                if json:
                    output.json(told)
                    return
                names = Names(door)
                for one in told:
                    made.add_row(*output.told_row(one, names))
            output.show(made)
            return
        entries = asyncio.run(view.entries(environ_here()))
        verify(entries)
    except EcapError as exc:
        raise output.failed(exc) from exc
    chosen = entries[-limit:]
    if json:
        output.json([msgspec.to_builtins(entry) for entry in chosen])
        return
    with _names_here() as names:
        for entry in chosen:
            made.add_row(*output.entry_row(entry, names))
    output.show(made)
    print(f"{len(entries)} entries, unaltered")


@contextmanager
def _names_here() -> Iterator[Names]:
    """The history is read without the services, and is shown without names when none runs."""
    with ExitStack() as stack:
        try:
            door = stack.enter_context(open_door(None))
        except EcapError:
            door = None
        yield Names(door)


def _newest(door: Door, limit: int) -> list[Mapping[str, Any]]:
    """In the order they were written."""
    found: list[Mapping[str, Any]] = []
    before: int | None = None
    while len(found) < limit:
        page = door.get("/history", limit=min(_PAGE, limit - len(found)), before=before).document
        found += page["entries"]
        before = page.get("next")
        if before is None:
            break
    return found[::-1]


def watch(url: Url = None, json: Json = False) -> None:
    """Print each new version as it is decided, until Ctrl-C."""
    try:
        if url is not None:
            _watch_there(url, json=json)
        else:
            with _names_here() as names:
                asyncio.run(_watch_here(names, json=json))
    except KeyboardInterrupt:
        return
    except EcapError as exc:
        raise output.failed(exc) from exc


async def _watch_here(names: Names, *, json: bool) -> None:
    async with view.open_history(environ_here()) as kept:
        last = await kept.last()
        seq = last.seq if last else 0
        while True:
            for entry in await kept.entries(after_seq=seq):
                seq = entry.seq
                if json:
                    output.json(msgspec.to_builtins(entry))
                elif entry.kind in _TOLD:
                    _line(output.entry_row(entry, names))
            await asyncio.sleep(_POLL_S)


def _watch_there(url: str, *, json: bool) -> None:
    with open_door(url) as door:
        names = Names(door)
        seq = next((one["seq"] for one in _newest(door, 1)), 0)
        while True:
            time.sleep(_POLL_S)
            for one in _newest(door, _PAGE):
                if one["seq"] <= seq:
                    continue
                seq = one["seq"]
                if json:
                    output.json(one)
                elif one["what"] in _TOLD:
                    _line(output.told_row(one, names))


def _line(row: tuple[str, ...]) -> None:
    print("  ".join(part for part in row if part), flush=True)


def status(url: Url = None, json: Json = False) -> None:
    """The version that runs, who runs it, each source's health, the age of the key.
    Exit code 1 when a source cannot be read or a member does not run it."""
    try:
        found = _status(url)
    except EcapError as exc:
        raise output.failed(exc) from exc
    if json:
        output.json(found)
    else:
        _show(found)
    sources_well = all(one["reachable"] and not one.get("last_error") for one in found["sources"])
    ledger = found.get("ledger") or ()
    if not sources_well or any(one["state"] in ("behind", "refused") for one in ledger):
        raise typer.Exit(1)


def _status(url: str | None) -> dict[str, Any]:
    """What the hub says; where none answers here, what can be seen without it."""
    try:
        with open_door(url) as door:
            members = door.get("/members").document
            sources = door.get("/sources").document
    except (NotFound, Unavailable) as exc:
        if url is not None:
            raise
        found = asyncio.run(inspection.status(environ_here(), now=time.time()))
        return found if isinstance(exc, NotFound) else {**found, "hub_error": exc.detail}
    return {
        "version": members["version"],
        "ledger": members["members"],
        "sources": sources["sources"],
        "keyring": sources["keyring"],
        "keyring_error": sources.get("keyring_error"),
    }


def _show(found: Mapping[str, Any]) -> None:
    print(f"version: {found['version'] if found['version'] is not None else 'none has run yet'}")
    for name in ("hub", "history", "keyring"):
        if found.get(f"{name}_error"):
            print(f"{name}: {found[f'{name}_error']}")
    made = output.table("source", "state", "lease left", "")
    for source in found["sources"]:
        well = source["reachable"] and not source.get("last_error")
        left = source.get("lease_left_s")
        made.add_row(
            source["source"],
            "[green]well[/]" if well else "[red]not well[/]",
            "" if left is None else f"{left:.0f} s",
            source.get("last_error") or source.get("refused") or "",
        )
    output.show(made)
    if found.get("keyring"):
        _keyring(found["keyring"])
    if found.get("ledger"):
        _ledger(found["ledger"])
    elif found.get("members"):
        runs = ", ".join(f"{name}: {version}" for name, version in sorted(found["members"].items()))
        print(f"members at the last settlement: {runs}")


def _keyring(ring: Mapping[str, Any]) -> None:
    age_s = ring.get("age_s")
    age = "age unknown" if age_s is None else f"{age_s / 86400:.1f} days old"
    old = "; too old, `ecap secrets rotate-keys` makes another" if ring["too_old"] else ""
    print(f"encrypts: key {ring['primary']}, {age}, {len(ring['keys'])} in the ring{old}")


def _ledger(members: Any) -> None:
    made = output.table("member", "runs", "state", "")
    for one in members:
        made.add_row(
            one["member"],
            str(one["running"]),
            f"[{_STYLES[one['state']]}]{one['state']}[/]",
            one.get("refusal") or "",
        )
    print()
    output.show(made)
