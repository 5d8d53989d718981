"""Dotted keys: `orders.currency` names a leaf of the settings tree.

Mappings are branches; everything else, lists included, is a leaf and is replaced
as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ecap.errors import Misconfigured


def flatten(tree: Mapping[str, Any], *, place: str = "") -> dict[str, Any]:
    """Raises Misconfigured, saying `place`, for a name that cannot be part of a key."""
    return dict(_leaves(tree, "", place))


def _leaves(tree: Mapping[str, Any], prefix: str, place: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if not isinstance(name, str) or not name or "." in name:
            where = f"{place}: " if place else ""
            raise Misconfigured(f"{where}{prefix}{name!r} is not a name: write text without dots")
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.", place)
        else:
            yield prefix + name, value


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


def ancestors(key: str) -> Iterator[str]:
    """`a.b.c` has `a` and `a.b`."""
    end = key.find(".")
    while end != -1:
        yield key[:end]
        end = key.find(".", end + 1)


def within(key: str, prefix: str) -> bool:
    return not prefix or key == prefix or key.startswith(prefix + ".")
