"""If-Match and If-None-Match over version numbers (RFC 9110, section 13)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ecap.errors import PreconditionFailed, PreconditionRequired
from ecap.serve.endpoints.routing import Call

# A name that ends in "!" is a required header; see `ecap.serve.endpoints.openapi`.
IF_MATCH: Mapping[str, str] = {"If-Match!": 'the ETag you saw, such as "3", or several'}
IF_NONE_MATCH: Mapping[str, str] = {"If-None-Match": "answer 304 when this ETag still holds"}

# One of a list, weak or not; a comma may stand inside the quotes.
_LISTED = re.compile(r'[ \t]*(?:((?:W/)?)"([\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(?:,|$)')
# "7" or "7-42": what follows the dash makes the tag differ, not the version.
_VERSION = re.compile(r"(\d{1,18})(?:-\w+)?")


async def required_version(call: Call[Any], present: Callable[[], Awaitable[int]]) -> int:
    """The version the caller saw; of several the one there is now, which `present` asks for.

    Raises PreconditionRequired without one, PreconditionFailed for tags that were never given
    out here: weak ones match nothing (RFC 9110, section 13.1.1)."""
    given = (call.header("if-match") or "").strip()
    if given in ("", "*"):
        raise PreconditionRequired("send the resource's ETag as If-Match", header="If-Match")
    versions = _versions(given)
    if not versions:
        raise PreconditionFailed("If-Match is no ETag of this resource", header="If-Match")
    if len(versions) == 1:
        return versions[0]
    # Who changes it compares again: nothing is lost when it changes after this look.
    now = await present()
    return now if now in versions else versions[0]


def _versions(given: str) -> Sequence[int]:
    """Of the strong tags of a list; none when it is no list."""
    found: list[int] = []
    at = 0
    while at < len(given):
        listed = _LISTED.match(given, at)
        if listed is None:
            return ()
        weak, tag = listed[1], listed[2]
        version = None if weak or tag is None else _VERSION.fullmatch(tag)
        if version is not None:
            found.append(int(version[1]))
        at = listed.end()
    return found
