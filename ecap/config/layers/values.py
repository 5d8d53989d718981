"""What any setting's value may be, whichever source gives it: what JSON, msgpack, a database
and a person can hold alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ecap.errors import Misconfigured

MOST_TEXT = 64 * 1024
MOST_ITEMS = 10_000
DEEPEST = 16
_INTEGERS = range(-(2**63), 2**63)


def checked(value: Any, *, where: str) -> Any:
    """Raises Misconfigured naming `where`, never the value, which may be a secret."""
    said = problem(value)
    if said is not None:
        raise Misconfigured(f"{where}: {said}")
    return value


def problem(value: Any) -> str | None:
    """Why `value` can be no setting's, or None."""
    return _Look().at(value, 0)


class _Look:
    def __init__(self) -> None:
        self._left = MOST_ITEMS

    def at(self, value: Any, depth: int) -> str | None:
        self._left -= 1
        if self._left < 0:
            return f"more than {MOST_ITEMS} items"
        if value is None or isinstance(value, bool):
            return None
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, int):
            return None if value in _INTEGERS else "the number has more than 64 bits"
        if isinstance(value, float):
            return None if math.isfinite(value) else "infinity and NaN are no values"
        if depth == DEEPEST:
            return f"nested deeper than {DEEPEST}"
        if isinstance(value, Mapping):
            return self._first((*value.keys(), *value.values()), depth)
        if isinstance(value, list | tuple):
            return self._first(value, depth)
        return f"a {type(value).__name__} is no value of a setting; write text in quotes"

    def _first(self, items: list[Any] | tuple[Any, ...], depth: int) -> str | None:
        found = (self.at(item, depth + 1) for item in items)
        return next((said for said in found if said is not None), None)


def _text(value: str) -> str | None:
    if len(value) > MOST_TEXT:
        return f"the text is longer than {MOST_TEXT} characters"
    if "\0" in value:
        return "a NUL is in the text"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "the text is not UTF-8"
    return None
