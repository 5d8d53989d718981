"""What the security log tells: who did what to whom, and how it ended."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

import msgspec

from ecap.domain.events.payload import Payload

ActorKind = Literal["user", "service", "anonymous", "command", "system"]
Outcome = Literal["done", "failed", "refused"]
Action = Literal[
    "account.created",
    "account.changed",
    "config.booted",
    "config.changed",
    "config.undone",
    "deadletters.replayed",
    "job.begun",
    "job.submitted",
    "keys.rotated",
    "login",
    "logout",
    "password.changed",
    "refresh.reused",
    "secret.written",
]
ACTIONS: tuple[Action, ...] = get_args(Action)

# A detail tells what changed; whoever brings more names the keys alone.
DETAILS_MAX_BYTES = 16_384
# As JSON spells it; behind an even number of backslashes, it is no text about it.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_encode = msgspec.json.Encoder().encode


class AuditEntry(Payload, frozen=True, kw_only=True):
    """`actor` and `subject` are ids, never names: of an account, a service, the login name of
    the shell that ran a command, a setting, or `email:` and the keyed hash of an e-mail that
    has no account. `details` hold no secret and nothing personal."""

    action: str
    outcome: Outcome
    actor: str
    actor_kind: ActorKind
    subject: str = ""
    address: str = ""
    request_id: str = ""
    details: dict[str, Any] = msgspec.field(default_factory=dict)


def details_text(entry: AuditEntry) -> str:
    """As JSON. Raises ValueError for what the log does not keep."""
    encoded = _encode(entry.details)
    if len(encoded) > DETAILS_MAX_BYTES:
        raise ValueError(f"details take {len(encoded)} bytes of {DETAILS_MAX_BYTES}")
    if _NUL.search(encoded):
        raise ValueError("details hold a NUL")
    return encoded.decode()


def storable(details: dict[str, Any]) -> bool:
    encoded = _encode(details)
    return len(encoded) <= DETAILS_MAX_BYTES and not _NUL.search(encoded)
