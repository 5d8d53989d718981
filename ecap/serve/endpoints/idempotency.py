"""Idempotency-Key on creates (draft-ietf-httpapi-idempotency-key-header).

A repeated request gets the answer of the first one, status and headers included; the
same key with another request is refused; while the first is under way the second is
told to wait. Only answers of what was committed are kept: a refusal left nothing
behind, and may turn out otherwise next time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from ecap.errors import Invalid, Malformed, Retryable
from ecap.serve.endpoints.routing import Call, Raw

IDEMPOTENCY_KEY: Mapping[str, str] = {
    "Idempotency-Key!": "1 to 255 printable characters; a repeat with the same key and body"
    " gets the same answer and does nothing"
}
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class InFlight(Retryable):
    status = 409
    slug = "in-flight"
    title = "The same request is being processed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request under a key; `fingerprint` is of what it asks for."""

    user_id: UUID
    key: str
    fingerprint: bytes

    @property
    def lock(self) -> int:
        """For `pg_try_advisory_xact_lock`: a signed 64-bit number."""
        digest = hashlib.sha256(self.user_id.bytes + self.key.encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def check(self, fingerprint: bytes) -> None:
        """Raises Invalid when the key was used for another request."""
        if fingerprint != self.fingerprint:
            raise Invalid(
                "this key was used with another body; take a new one", field="Idempotency-Key"
            )


def attempt(call: Call[Any], body: BaseModel) -> Attempt:
    """Raises Malformed without a usable key."""
    key = call.header("idempotency-key")
    if key is None or not _KEY.fullmatch(key):
        raise Malformed(
            "send an Idempotency-Key of 1 to 255 printable characters", header="Idempotency-Key"
        )
    return Attempt(call.user_id, key, _fingerprint(call.path, body))


def _fingerprint(path: str, body: BaseModel) -> bytes:
    # The parsed body, so that white space and the order of members make no difference.
    return hashlib.sha256(path.encode() + b"\n" + body.model_dump_json().encode()).digest()


def replayed(answer: Raw) -> Raw:
    """An answer given before, marked as such."""
    headers = (*answer.headers, ("idempotent-replayed", "true"))
    return Raw(answer.body, answer.content_type, answer.status, headers)
