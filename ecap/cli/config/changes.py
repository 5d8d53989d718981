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

from ecap.cli.config import output
from ecap.cli.config.output import Url
from ecap.cli.door import Answer, open_door
from ecap.cli.options import Json
from ecap.config.layers import environment, schema
from ecap.errors import EcapError, Invalid

Reason = Annotated[str, typer.Option(help="why; it stands in the history")]
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


def set_(
    key: Annotated[str, typer.Argument(help="a setting, as fraud.deny_score")],
    value: Annotated[str, typer.Argument(help="the value, a reference for a secret; or null")],
    reason: Reason,
    canary: Annotated[
        str | None,
        typer.Option(help="try it first: a share of the members as 20%, or names with commas"),
    ] = None,
    bake: Annotated[str, typer.Option(help="how long the canary has to stay well: 30s, 1m")] = "10",
    expires: Annotated[
        str | None, typer.Option(help="ends by itself after this: 90, 15m, 2h, 1d")
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Set a setting above every other source; answers when every member runs it.

    Exit code 1 when it is refused or was undone, 3 when nobody could be asked.
    """
    try:
        body: dict[str, Any] = {"value": value_of(key, value), "reason": reason}
        if expires is not None:
            body["expires_s"] = seconds_of(expires, "--expires")
        if canary is not None:
            body["canary"] = {**canary_of(canary), "bake_s": seconds_of(bake, "--bake")}
        made = _made(url, key, "PUT", body=body)
    except EcapError as exc:
        raise output.failed(exc) from exc
    made.tell(json=json)


def unset(
    key: Annotated[str, typer.Argument(help="a setting that was set")],
    reason: Reason,
    url: Url = None,
    json: Json = False,
) -> None:
    """Remove what was set; the source below counts again."""
    try:
        made = _made(url, key, "DELETE", reason=reason)
    except EcapError as exc:
        raise output.failed(exc) from exc
    made.tell(json=json, origin=True)


def rollback(
    version: Annotated[int, typer.Argument(min=1, help="whose settings are to count again")],
    reason: Reason,
    url: Url = None,
    json: Json = False,
) -> None:
    """Go back to the settings of an earlier version, as a new one."""
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
    """A change of one setting: what there was, what was answered, what there is."""

    key: str
    before: Answer
    after: Answer
    shown: Answer
    took_s: float

    def tell(self, *, json: bool, origin: bool = False) -> None:
        """`origin`: also where the value comes from now."""
        if json:
            output.json({"key": self.key, **self.after.document})
            return
        was, now = (output.text(one.document.get("value")) for one in (self.before, self.shown))
        place = f", from {self.shown.document['source']}" if origin else ""
        print(f"{self.key}: {was} -> {now}{place}")
        _done(self.after.document, self.took_s)


def _made(url: str | None, key: str, method: str, *, body: Any = None, **params: Any) -> _Made:
    """Against the version that was looked at. Raises EcapError."""
    with open_door(url) as door:
        before = door.get(f"/{key}")
        started = time.perf_counter()
        after = door.write(method, f"/{key}", version=before.version, body=body, **params)
        took_s = time.perf_counter() - started
        return _Made(key, before, after, door.get(f"/{key}"), took_s)


def _done(applied: Mapping[str, Any], took_s: float) -> None:
    print(f"version {applied['version']}, acknowledged by every member in {took_s:.2f} s")
    for name in applied["behind"]:
        output.note(f"{name} is silent; it takes the version when it is back")


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
