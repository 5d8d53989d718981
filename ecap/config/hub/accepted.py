"""The configuration that counts: what each source said, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from ecap.config.layers import keys, redaction, schema
from ecap.config.layers.layer import Found, Given, Layer, Source
from ecap.config.layers.overrides import Override, Overrides
from ecap.config.layers.references import Reference
from ecap.config.protocol import Ends
from ecap.config.secrets.keyring.ring import Keyring
from ecap.config.settings.tree import Settings
from ecap.errors import Conflict, Misconfigured


class Sealer(Protocol):
    def seal(self, plain: bytes) -> bytes: ...


@dataclass(frozen=True)
class Accepted:
    version: int
    given: Mapping[Source, Layer] = field(repr=False)
    """Without defaults and overrides."""
    overrides: Overrides = field(repr=False)
    leaves: Mapping[str, Any] = field(repr=False)
    """Resolved, secrets included."""
    since: Mapping[str, int]
    """Per key the version that gave it its present value and source."""
    settings: Settings = field(repr=False)
    found: Mapping[str, Found] = field(repr=False)
    read: Mapping[Reference, str] = field(repr=False)
    """What the references in it stand for."""
    ends: Ends = ()
    """Of its overrides."""


def since(
    before: Accepted | None, version: int, found: Mapping[str, Found], leaves: Mapping[str, Any]
) -> dict[str, int]:
    kept: dict[str, int] = {}
    for key, entry in found.items():
        old = None if before is None else before.found.get(key)
        same = (
            before is not None
            and old is not None
            and old.source == entry.source
            and before.leaves.get(key) == leaves.get(key)
        )
        kept[key] = before.since.get(key, version) if same and before is not None else version
    return kept


def refuse_fixed(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raises Conflict naming every changed key that only a restart can change."""
    reasons = []
    for key in keys.differing(before, after):
        setting = schema.known(key)
        if setting is not None and setting.fixed is not None:
            reasons.append(f"{key}: {setting.fixed}")
    if reasons:
        raise Conflict(f"cannot change while ECAP runs; restart to take it: {'; '.join(reasons)}")


# Fields by their place, not their name: a new one comes last and has a default, or no state of an
# earlier release could be read.
class _Given(msgspec.Struct, array_like=True):
    value: Any
    place: str
    expands: bool
    final: bool
    version: str | None


class _Document(msgspec.Struct):
    version: int
    given: dict[Source, dict[str, _Given]]
    overrides: dict[str, Override]
    leaves: dict[str, Any]
    since: dict[str, int]
    ends: Ends = ()


def pack(accepted: Accepted | Packed, sealer: Sealer) -> bytes:
    document = _Document(
        version=accepted.version,
        given={
            source: {
                key: _Given(g.value, g.place, g.expands, g.final, g.version)
                for key, g in layer.values.items()
            }
            for source, layer in accepted.given.items()
        },
        overrides=dict(accepted.overrides),
        leaves=dict(accepted.leaves),
        since=dict(accepted.since),
        ends=accepted.ends,
    )
    return sealer.seal(msgspec.msgpack.encode(document))


@dataclass(frozen=True)
class Packed:
    """A state of the history. The resolved leaves are part of it: to run it again
    nothing has to be read, and no source has to be there."""

    version: int
    given: dict[Source, Layer] = field(repr=False)
    overrides: dict[str, Override] = field(repr=False)
    leaves: dict[str, Any] = field(repr=False)
    since: dict[str, int]
    ends: Ends = ()


def unpack(token: bytes, ring: Keyring, *, where: str) -> Packed:
    """Raises Misconfigured when it cannot be opened."""
    return decoded(ring.open(token, where=where), where=where)


def decoded(plain: bytes, *, where: str) -> Packed:
    """Raises Misconfigured when it is of another release."""
    try:
        found = msgspec.msgpack.decode(plain, type=_Document)
    except msgspec.MsgspecError:
        raise Misconfigured(f"{where}: written by another release; it cannot be read") from None
    return Packed(
        version=found.version,
        given={
            source: Layer(
                source,
                {
                    key: Given(g.value, g.place, g.expands, g.final, g.version)
                    for key, g in values.items()
                },
            )
            for source, values in found.given.items()
        },
        overrides=found.overrides,
        leaves=found.leaves,
        since=found.since,
        ends=found.ends,
    )


def explain(
    found: Mapping[str, Found], leaves: Mapping[str, Any], since: Mapping[str, int], key: str
) -> dict[str, Any]:
    """Where `key` has its value from, and what it hides, nearest first.

    Raises Invalid with the nearest known name.
    """
    setting = schema.find(key)
    entry = found.get(key)
    return {
        "key": key,
        "value": redaction.counting(key, leaves.get(key), entry.given if entry else None),
        "source": entry.source if entry else "defaults",
        "place": entry.given.place if entry else None,
        "source_version": entry.given.version if entry else None,
        "since_version": since.get(key),
        "live": setting.fixed is None,
        "fixed": setting.fixed,
        "secret": setting.secret,
        "meaning": setting.description,
        "hides": [
            {
                "source": source,
                "place": given.place,
                "value": redaction.given(key, given),
            }
            for source, given in (entry.hides if entry else ())
        ],
    }


def values(found: Mapping[str, Found], leaves: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """For showing."""
    return {
        key: redaction.counting(key, value, found[key].given if key in found else None)
        for key, value in leaves.items()
        if keys.within(key, prefix)
    }
