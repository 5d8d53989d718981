"""The keyring as text, the same in every store.

`{"keys": [{"key": "...", "created_at": 1790000000.0}, ...]}`, the first one encrypts.
Plain Fernet keys, one a line or separated by commas, are read too.
"""

from __future__ import annotations

import msgspec

from ecap.config.secrets.keyring.ring import Key
from ecap.errors import Misconfigured


class _Key(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    created_at: float | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[_Key]


def parse(text: str, *, place: str) -> tuple[Key, ...]:
    """Raises Misconfigured naming `place`, never the text."""
    if not text.lstrip().startswith("{"):
        return tuple(Key(part) for part in text.replace(",", " ").split())
    try:
        document = msgspec.json.decode(text, type=_Document)
    except msgspec.MsgspecError:
        raise Misconfigured(f"{place}: not a keyring") from None
    return tuple(Key(item.key, item.created_at) for item in document.keys)


def write(keys: tuple[Key, ...]) -> str:
    document = _Document([_Key(key.material, key.created_at) for key in keys])
    return msgspec.json.encode(document).decode()
