"""What operators set above every other source, with who, why and until when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ecap.config.layers import keys, pasted, redaction, references, schema, values
from ecap.config.layers.layer import Given, Layer
from ecap.errors import Conflict, Invalid, NotFound


class Override(msgspec.Struct, frozen=True):
    value: Any
    author: str
    reason: str
    at: float
    """Unix time."""
    expires_at: float | None = None


class Edit(msgspec.Struct, frozen=True):
    """What an operator asks for."""

    sets: dict[str, Any] = {}
    unsets: tuple[str, ...] = ()
    expires_at: float | None = None
    restores: dict[str, Override] = {}
    """Of a rollback: as they were, with who set them and until when."""


Overrides = Mapping[str, Override]


def edited(
    present: Overrides, edit: Edit, *, author: str, reason: str, now: float
) -> dict[str, Override]:
    """Raises Invalid naming the key, NotFound when there is nothing to unset."""
    if edit.expires_at is not None and edit.expires_at <= now:
        raise Invalid("the override would already have expired", field="expires_at")
    found = dict(present)
    for key in edit.unsets:
        schema.find(key)
        if found.pop(key, None) is None:
            raise NotFound(f"{key} has no override")
    for key, value in edit.sets.items():
        _check(key, value)
        found[key] = Override(value, author, reason, now, edit.expires_at)
    for key, item in edit.restores.items():
        _check(key, item.value)
        found[key] = item
    return found


def way_back(now: Overrides, then: Overrides, *, at: float) -> tuple[Edit, tuple[str, ...]]:
    """The edit that leads from the overrides of now to those of then, and what it cannot
    restore. What has expired since stays away: it was to end.

    Nothing else is touched: what files say now is somebody's later decision.
    """
    wanted = {k: item for k, item in then.items() if k not in expired(then, now=at)}
    possible = {k: item for k, item in wanted.items() if _is_live(k)}
    restores = {k: item for k, item in possible.items() if not _same(now.get(k), item)}
    unsets = tuple(sorted(now.keys() - wanted.keys()))
    return Edit(unsets=unsets, restores=restores), tuple(sorted(wanted.keys() - possible.keys()))


def _is_live(key: str) -> bool:
    setting = schema.known(key)
    return setting is not None and setting.fixed is None


def _same(one: Override | None, other: Override) -> bool:
    return one is not None and (repr(one.value), one.expires_at) == (
        repr(other.value),
        other.expires_at,
    )


def _check(key: str, value: Any) -> None:
    setting = schema.find(key)
    said = values.problem(value)
    if said is not None:
        raise Invalid(f"{key}: {said}", field=key)
    if setting.fixed is not None:
        raise Conflict(
            f"{key} cannot change while ECAP runs: {setting.fixed};"
            " write it in a file or the environment and restart",
            field=key,
        )
    if not setting.secret and pasted.looks_secret(value):
        raise Invalid(
            f"{key} is no secret and is shown to others, and this looks like a secret: store it"
            " with `ecap secrets put` and set its reference where it belongs",
            field=key,
        )
    if setting.secret and _holds_plain(value):
        raise Invalid(
            f"{key} is a secret: store it with `ecap secrets put` and set a reference"
            " (vault:path#key, k8s:name/key, enc:..., file:/path)",
            field=key,
        )


def _holds_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_plain(item) for item in value)
    return value is not None and not references.is_reference(value)


def layer(present: Overrides) -> Layer:
    return Layer(
        "override",
        {key: Given(item.value, _place(item.author, item.reason)) for key, item in present.items()},
    )


def _place(author: str, reason: str) -> str:
    return f"set by {author}: {reason}"


def placeless(said: str, *, author: str, reason: str) -> str:
    """A refusal for who has just asked for it: without the place, which is the request."""
    return said.replace(f"{_place(author, reason)}: ", "")


def expired(present: Overrides, *, now: float) -> tuple[str, ...]:
    return tuple(
        key
        for key, item in present.items()
        if item.expires_at is not None and item.expires_at <= now
    )


def expiries(present: Overrides) -> list[float]:
    """When some of them end, the first first."""
    return sorted({i.expires_at for i in present.values() if i.expires_at is not None})


def next_expiry(present: Overrides) -> float | None:
    return min((i.expires_at for i in present.values() if i.expires_at is not None), default=None)


def safe(edit: Edit) -> dict[str, Any]:
    """As it may stand in the history. Lossless for an edit that passed `edited`."""
    return {
        "sets": {key: _safe(key, value) for key, value in edit.sets.items()},
        "unsets": list(edit.unsets),
        "expires_at": edit.expires_at,
        "restores": {
            key: msgspec.to_builtins(msgspec.structs.replace(item, value=_safe(key, item.value)))
            for key, item in edit.restores.items()
        },
    }


def outline(edit: Edit) -> dict[str, Any]:
    """Of one that was refused, as it may stand in the history: what is text may be a secret
    that was pasted in the wrong place."""
    told = safe(edit)
    return {**told, "sets": {key: _outlined(value) for key, value in told["sets"].items()}}


def _outlined(value: Any) -> Any:
    plain = value is None or isinstance(value, bool | int | float)
    return value if plain and values.problem(value) is None else redaction.HIDDEN


def _safe(key: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_safe(key, item) for item in value]
    if schema.is_secret(key) and references.well_formed(value):
        return value
    return redaction.resolved(key, value)


def known(present: Overrides) -> dict[str, Override]:
    """Without those of settings that this release no longer has."""
    return {key: item for key, item in present.items() if schema.known(key) is not None}


def within(present: Overrides, prefix: str) -> dict[str, Override]:
    return {key: item for key, item in present.items() if keys.within(key, prefix)}
