"""Users: registered, and what their owners should know of."""

from __future__ import annotations

from uuid import UUID

from ecap.domain.events.payload import Payload


class UserRegistered(Payload, frozen=True, kw_only=True):
    """`sealed` is `enc:` and the user's `email` and `display_name` under the keyring: neither
    the broker nor the streams can read them."""

    user_id: UUID
    sealed: str


class PasswordGuessed(Payload, frozen=True, kw_only=True):
    """Somebody tries passwords at the account: `failures` that are not forgotten yet."""

    user_id: UUID
    failures: int
