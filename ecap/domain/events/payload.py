"""What every payload is made of. Adding a field with a default keeps a version; anything else
makes a new one."""

from __future__ import annotations

import msgspec


class Payload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    pass
