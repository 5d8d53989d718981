"""`ecap config set`, `unset` and `rollback`: a change of the running ECAP, over HTTP."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import typer

from ecap.cli.config import offline as offline_history
from ecap.cli.config import output
from ecap.cli.config.output import Url
from ecap.cli.door import Door, open_door
from ecap.cli.options import Json
from ecap.config.layers import environment, schema
from ecap.errors import EcapError, Invalid
from ecap.local.state.running import environ_here

Reason = Annotated[str, typer.Option(help="why; it stands in the history")]
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


def set_(
    settings: Annotated[
        list[str],
        typer.Argument(
            help="KEY VALUE, or several as KEY=VALUE: all of them count or none;"
            " a value is a reference for a secret, or null",
            metavar="KEY VALUE | KEY=VALUE...",
        ),
    ],
    reason: Reason,
    canary: Annotated[
        str | None,
        typer.Option(help="try it first: a share of the members as 20%, or names with commas"),
    ] = None,
    bake: Annotated[str, typer.Option(help="how long the canary has to stay well: 30s, 1m")] = "10",
    expires: Annotated[
        str | None, typer.Option(help="ends by itself after this: 90, 15m, 2h, 1d")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="ask every member as well, and change nothing")
    ] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Set settings above every other source; answers when every member runs them.

    Exit code 1 when it is refused or was undone, 3 when nobody could be asked.
    """
    try:
        body: dict[str, Any] = {"sets": sets_of(settings), "reason": reason, "dry_run": dry_run}
        if expires is not None:
            body["expires_s"] = seconds_of(expires, "--expires")
        if canary is not None:
            body["canary"] = {**canary_of(canary), "bake_s": seconds_of(bake, "--bake")}
        made = _made(url, list(body["sets"]), "PATCH", body=body)
    except EcapError as exc:
        raise output.failed(exc) from exc
    if dry_run:
        made.foretell(json=json)
    else:
        made.tell(json=json)


def unset(
    key: Annotated[str, typer.Argument(help="a setting that was set")],
    reason: Reason,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="in the database, when nothing answers; counts from the next start on"
        ),
    ] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Remove what was set; the source below counts again."""
    if offline:
        _unset_offline(key, reason, json=json)
        return
    try:
        made = _made(url, [key], "DELETE", f"/{key}", reason=reason)
    except EcapError as exc:
        raise output.failed(exc) from exc
    made.tell(json=json, origin=True)


def _unset_offline(key: str, reason: str, *, json: bool) -> None:
    try:
        version = offline_history.unset(environ_here(), key, reason=reason)
    except EcapError as exc:
        raise output.failed(exc) from exc
    if json:
        output.json({"key": key, "version": version})
        return
    print(f"{key} is no longer set: version {version}, from the next start on")


def rollback(
    version: Annotated[int, typer.Argument(min=1, help="what was set then is to count again")],
    reason: Reason,
    url: Url = None,
    json: Json = False,
) -> None:
    """Restore what was set in an earlier version, with its expiry; files are not touched."""
    try:
        with open_door(url) as door:
            before = door.get("", prefix="hub")
            body = {"version": version, "reason": reason}
            started = time.perf_counter()
            after = door.write("POST", "/rollback", version=before.version, body=body)
            took_s = time.perf_counter() - started
    except EcapError as exc:
        raise output.failed(exc) from exc
    if json:
        output.json(after.document)
        return
    print(f"changed: {', '.join(after.document['changed']) or 'nothing'}")
    for key in after.document["skipped"]:
        output.note(f"{key} stays: a rollback cannot restore it")
    _done(after.document, took_s)


@dataclass(frozen=True)
class _Made:
    """A change of some settings: what there was, what was answered, what there is."""

    before: Mapping[str, Mapping[str, Any]]
    answer: Mapping[str, Any]
    after: Mapping[str, Mapping[str, Any]]
    took_s: float

    def tell(self, *, json: bool, origin: bool = False) -> None:
        """`origin`: also where a value comes from now."""
        if json:
            output.json({**self._keys(), **self.answer})
            return
        for key, now in self.after.items():
            was, is_ = (output.text(one.get("value")) for one in (self.before.get(key, {}), now))
            place = f", from {now['source']}" if origin else ""
            print(f"{key}: {was} -> {is_}{place}")
        _done(self.answer, self.took_s)

    def foretell(self, *, json: bool) -> None:
        """Of a dry run."""
        if json:
            output.json({**self._keys(), **self.answer})
            return
        print(f"would change: {', '.join(self.answer['changed']) or 'nothing'}")
        print("nobody refuses; nothing was changed")

    def _keys(self) -> dict[str, Any]:
        keys = list(self.after)
        return {"key": keys[0]} if len(keys) == 1 else {"keys": keys}


def _made(
    url: str | None,
    keys: list[str],
    method: str,
    path: str = "",
    *,
    body: Any = None,
    **params: Any,
) -> _Made:
    """Against the version that was looked at. Raises EcapError."""
    with open_door(url) as door:
        before, version = _settings(door, keys)
        started = time.perf_counter()
        answer = door.write(method, path, version=version, body=body, **params).document
        took_s = time.perf_counter() - started
        return _Made(before, answer, _settings(door, keys)[0], took_s)


def _settings(door: Door, keys: list[str]) -> tuple[dict[str, Mapping[str, Any]], int | None]:
    """Those of one version."""
    if len(keys) == 1:
        told = door.get(f"/{keys[0]}")
        return {keys[0]: told.document}, told.version
    told = door.get()
    by_key = {one["key"]: one for one in told.document["settings"]}
    return {key: by_key.get(key, {}) for key in keys}, told.version


def _done(applied: Mapping[str, Any], took_s: float) -> None:
    print(f"version {applied['version']}, acknowledged by every member in {took_s:.2f} s")
    for name in applied["behind"]:
        output.note(f"{name} is silent and does not run it; look at `ecap config status`")


def sets_of(words: list[str]) -> dict[str, Any]:
    """Of `KEY VALUE`, or of `KEY=VALUE` as often as wanted. Raises Invalid."""
    if len(words) == 2 and "=" not in words[0]:
        return {words[0]: value_of(*words)}
    found: dict[str, Any] = {}
    for word in words:
        key, mark, value = word.partition("=")
        if not mark:
            # Not the word itself: it may be the value of a secret.
            raise Invalid("write KEY VALUE, or KEY=VALUE once or several times", field="settings")
        if key in found:
            raise Invalid(f"{key} is given twice", field=key)
        found[key] = value_of(key, value)
    return found


def value_of(key: str, text: str) -> Any:
    """As JSON has it: numbers and switches as such where the setting is one.

    Raises Invalid with the nearest known name.
    """
    setting = schema.find(key)
    if text == "null":
        return None
    if not schema.is_text(key):
        return environment.parsed(key, text)
    is_text = setting.mentions(str) and not setting.mentions(bool)
    if is_text or setting.mentions(Decimal) or setting.secret:
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text  # the hub says what is wrong with it


def canary_of(text: str) -> dict[str, Any]:
    if text.endswith("%"):
        try:
            return {"share": float(text[:-1]) / 100}
        except ValueError:
            raise Invalid(f"--canary {text}: write a share as 20%", field="canary") from None
    return {"members": [name.strip() for name in text.split(",") if name.strip()]}


def seconds_of(text: str, option: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise Invalid(f"{option} {text}: write a duration as 90, 15m, 2h or 1d", field=option)
    return float(match[1]) * _UNITS[match[2]]
