"""Personal data at rest: a JSON object under the keyring, in one column beside the row's id.

The object names its row, so that what was moved to another row is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

import msgspec

from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.errors import Misconfigured

_OWNER = "row"
_decoder = msgspec.json.Decoder(dict[str, str])


class Seal(Protocol):
    def seal(self, plain: bytes) -> bytes: ...


def sealed(keys: Seal, owner: UUID, fields: Mapping[str, str]) -> bytes:
    return keys.seal(msgspec.json.encode({**fields, _OWNER: str(owner)}))


class SealedRows:
    """`table` is for messages. The row's key has the name of the owner in them."""

    def __init__(self, keys: LiveKeyring, *, table: str) -> None:
        self._keys = keys
        self._table = table

    def seal(self, owner: UUID, fields: Mapping[str, str]) -> bytes:
        """Raises Unavailable while the keyring has not been seen for too long."""
        return sealed(self._keys, owner, fields)

    async def open(self, owner: UUID, token: bytes) -> dict[str, str]:
        """Raises Misconfigured naming table and row, never what is in it."""
        where = f"{self._table}.sealed of {owner}"
        plain = await self._keys.open(token, where=where)
        try:
            fields = _decoder.decode(plain)
        except msgspec.MsgspecError:
            # Not `from`: its text quotes the data.
            raise Misconfigured(f"{where}: not written by ECAP") from None
        if fields.pop(_OWNER, None) != str(owner):
            raise Misconfigured(f"{where}: belongs to another row")
        return fields
