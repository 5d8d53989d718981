"""The states of the history under another key: the document, and the `enc:` values in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from ecap.config import accepted
from ecap.config.accepted import Packed
from ecap.config.keyring import PREFIX, Keyring
from ecap.config.layers import Layer
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
    overrides = {
        key: msgspec.structs.replace(item, value=_renewed(item.value, ring))
        for key, item in packed.overrides.items()
    }
    fresh = replace(packed, given=given, overrides=overrides)
    if fresh == packed and ring.is_current(token):
        return token
    return accepted.pack(fresh, ring)


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
