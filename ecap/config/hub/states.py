"""The states of the history under another key: the document, and the `enc:` values in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from ecap.config.hub import accepted
from ecap.config.hub.accepted import Accepted, Packed
from ecap.config.layers import references
from ecap.config.layers.layer import Layer
from ecap.config.layers.overrides import Override
from ecap.config.layers.references import Reference
from ecap.config.secrets.keyring.ring import PREFIX, Keyring
from ecap.errors import Misconfigured


def again(ring: Keyring, token: bytes, where: str) -> bytes:
    """Under the first key; the same when it is already. Raises Misconfigured when no key
    opens the document; an `enc:` value in it that none opens was lost before, and stays."""
    packed = accepted.unpack(token, ring, where=where)
    given = {
        source: Layer(
            source,
            {key: replace(g, value=_renewed(g.value, ring)) for key, g in layer.values.items()},
        )
        for source, layer in packed.given.items()
    }
    fresh = replace(packed, given=given, overrides=_overrides(packed.overrides, ring))
    # The very same token: encrypting is never twice the same, so every pass would write each state
    # anew, and count it.
    if fresh == packed and ring.is_current(token):
        return token
    return accepted.pack(fresh, ring)


def overrides_again(ring: Keyring, token: bytes, where: str) -> bytes:
    """As `again`, but of the layers beneath: what they say is kept as the sources have it,
    so that an old key they still need is found."""
    packed = accepted.unpack(token, ring, where=where)
    fresh = replace(packed, overrides=_overrides(packed.overrides, ring))
    if fresh == packed and ring.is_current(token):
        return token
    return accepted.pack(fresh, ring)


def renewed(found: Accepted, ring: Keyring) -> Accepted:
    """`enc:` values of its overrides under the first key. Those whose key is gone are sealed
    from what they were read as; the leaves do not change."""
    fresh: dict[str, Override] = {}
    read: dict[Reference, str] = {}
    for key, item in found.overrides.items():
        written = item.value if isinstance(item.value, list | tuple) else [item.value]
        tokens = [_sealed(one, ring, found.read, read) for one in written]
        value = tokens if isinstance(item.value, list | tuple) else tokens[0]
        fresh[key] = msgspec.structs.replace(item, value=value)
    if not read:
        return found
    return replace(found, overrides=fresh, read={**found.read, **read})


def _sealed(
    value: Any, ring: Keyring, known: Mapping[Reference, str], read: dict[Reference, str]
) -> Any:
    for token in _tokens(value):
        if ring.is_current(token):
            continue
        plain = known.get(references.parse(value, where=""))
        if plain is None:
            try:
                plain = ring.open_text(token.decode(), where="")
            except Misconfigured:
                return value
        text = ring.seal_text(plain)
        read[references.parse(text, where="")] = plain
        return text
    return value


def _overrides(present: Mapping[str, Override], ring: Keyring) -> dict[str, Override]:
    return {
        key: msgspec.structs.replace(item, value=_renewed(item.value, ring))
        for key, item in present.items()
    }


def outdated(packed: Packed, ring: Keyring) -> Iterator[tuple[str, str]]:
    """Where `enc:` values are that the first key does not open, and what is to be done."""
    for key, item in packed.overrides.items():
        if any(not ring.is_current(token) for token in _tokens(item.value)):
            yield (
                f"the override {key} of configuration version {packed.version}",
                f"`ecap config set {key}` with what `ecap secrets put --enc` prints",
            )
    for layer in packed.given.values():
        for key, given in layer.values.items():
            if any(not ring.is_current(token) for token in _tokens(given.value)):
                yield f"{key} in {given.place}", "write what `ecap secrets put --enc` prints"


def _tokens(value: Any) -> Iterator[bytes]:
    for item in value if isinstance(value, list | tuple) else (value,):
        if isinstance(item, str) and item.startswith(PREFIX):
            yield item.removeprefix(PREFIX).encode(errors="replace")


def _renewed(value: Any, ring: Keyring) -> Any:
    if isinstance(value, list | tuple):
        return [_renewed(item, ring) for item in value]
    for token in _tokens(value):
        if not ring.is_current(token):
            try:
                return PREFIX + ring.renew(token, where="").decode()
            except Misconfigured:
                return value
    return value
