"""What may be shown of a setting: references yes, secrets never."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import SecretStr

from ecap.config.layers import keys, references, schema
from ecap.config.layers.layer import Given

HIDDEN = "(secret)"
_JSON = (str, bool, int, float, type(None))
_SHORTEST = 4  # replacing shorter pieces would garble text without hiding anything


def shown(key: str, value: Any) -> Any:
    """The value as it was written, for people and the history."""
    if isinstance(value, list | tuple):
        return [shown(key, item) for item in value]
    if references.well_formed(value):
        return references.parse(value, where=key).name
    return resolved(key, value)


def resolved(key: str, value: Any) -> Any:
    """The value that counts. A secret may look like a reference, and is hidden all the same."""
    if isinstance(value, list | tuple):
        return [resolved(key, item) for item in value]
    if value is None or value == "" or not schema.is_secret(key):
        return plain(value)
    return HIDDEN


def given(key: str, one: Given) -> Any:
    """What a source says; what comes out of a store is no reference."""
    return resolved(key, one.value) if one.final else shown(key, one.value)


def counting(key: str, value: Any, one: Given | None) -> Any:
    """The value of a key, and where its reference was never read, the reference."""
    if one is not None and value == one.value:
        return given(key, one)
    return resolved(key, value)


def plain(value: Any) -> Any:
    """JSON's types; secrets as they are, so never for output without `shown`."""
    if isinstance(value, _JSON):
        return value
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)


def secrets(leaves: Mapping[str, Any]) -> frozenset[str]:
    """Every secret text in resolved leaves."""
    found: set[str] = set()
    for key, value in leaves.items():
        if schema.is_secret(key):
            items = value if isinstance(value, list | tuple) else [value]
            found.update(text for text in map(plain, items) if isinstance(text, str))
    return frozenset(text for text in found if len(text) >= _SHORTEST)


def scrub(text: str, hidden: Iterable[str]) -> str:
    """For text of foreign origin, as an exception's."""
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def changes(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    show: Callable[[str, Any], Any] = resolved,
) -> dict[str, dict[str, Any]]:
    """Per key that differs `{"from", "to"}`; a key that is away has no such entry."""
    found: dict[str, dict[str, Any]] = {}
    for key in keys.differing(before, after):
        item: dict[str, Any] = {}
        if key in before:
            item["from"] = show(key, before[key])
        if key in after:
            item["to"] = show(key, after[key])
        found[key] = item
    return found
