"""If-Match and If-None-Match over version numbers (RFC 9110, section 13)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ecap.errors import PreconditionFailed, PreconditionRequired
from ecap.serve.endpoints.routing import Call

# A name that ends in "!" is a required header; see `ecap.serve.endpoints.openapi`.
IF_MATCH: Mapping[str, str] = {"If-Match!": 'the ETag you saw, such as "3"'}
IF_NONE_MATCH: Mapping[str, str] = {"If-None-Match": "answer 304 when this ETag still holds"}

# "7" or "7-42": what follows the dash makes the tag differ, not the version.
_TAG = re.compile(r'^(?:W/)?"(\d{1,18})(?:-\w+)?"$')


def required_version(call: Call[Any]) -> int:
    """The version the caller saw. Raises PreconditionRequired without one, and
    PreconditionFailed for a tag that was never given out here."""
    given = (call.header("if-match") or "").strip()
    if given in ("", "*"):
        raise PreconditionRequired("send the resource's ETag as If-Match", header="If-Match")
    match = _TAG.match(given)
    if match is None:
        raise PreconditionFailed("If-Match is no ETag of this resource", header="If-Match")
    return int(match[1])
