"""Personal data in events: sealed text that the streams pass on as it is."""

from __future__ import annotations

import re

from ecap.domain.events.users import UserRegistered

_SEALED = re.compile(r"enc:([A-Za-z0-9_\-]+={0,2})", re.ASCII)


def token_of(user: UserRegistered) -> bytes:
    """Raises ValueError for what no keyring has sealed."""
    found = _SEALED.fullmatch(user.sealed)
    if found is None:
        raise ValueError("sealed is not enc:TOKEN")
    return found[1].encode()
