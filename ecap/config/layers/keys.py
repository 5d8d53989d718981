"""Dotted keys: `orders.currency` names a leaf of the settings tree.

Mappings are branches; everything else, lists included, is a leaf and is replaced
as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ecap.errors import Misconfigured


def flatten(tree: Mapping[str, Any], *, place: str = "") -> dict[str, Any]:
    """Raises Misconfigured, saying `place`, for a name that cannot be part of a key."""
    leaves: dict[str, Any] = {}
    _gather(tree, "", place, leaves)
    return leaves


def _gather(tree: Mapping[str, Any], prefix: str, place: str, leaves: dict[str, Any]) -> None:
    for name, value in tree.items():
        if not isinstance(name, str) or not name or "." in name:
            where = f"{place}: " if place else ""
            raise Misconfigured(f"{where}{prefix}{name!r} is not a name: write text without dots")
        # First what is quick to see, for nearly all of it are dicts and plain values.
        if type(value) is dict or isinstance(value, Mapping):
            _gather(value, f"{prefix}{name}.", place, leaves)
        else:
            leaves[prefix + name] = value


def unflatten(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse; no key may be a branch of another."""
    tree: dict[str, Any] = {}
    for key, value in leaves.items():
        *branches, leaf = key.split(".")
        node = tree
        for branch in branches:
            node = node.setdefault(branch, {})
        node[leaf] = value
    return tree


@lru_cache(maxsize=4096)
def ancestors(key: str) -> tuple[str, ...]:
    """`a.b.c` has `a` and `a.b`. Kept, for each change asks it of every key of every layer."""
    return tuple(key[:at] for at, letter in enumerate(key) if letter == ".")


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Sorted, those included that only one of them has."""
    found = [key for key in old if key not in new]
    for key, value in new.items():
        if key not in old:
            found.append(key)
            continue
        other = old[key]
        # 1, 1.0 and True are equal, and may be told apart by a setting.
        if value is not other and (value != other or type(value) is not type(other)):
            found.append(key)
    return sorted(found)


def within(key: str, prefix: str) -> bool:
    return not prefix or key == prefix or key.startswith(prefix + ".")
