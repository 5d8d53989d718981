"""YAML's scalars as settings mean them: what readers of different YAML versions, or people,
would take for something else is refused instead of guessed.

`010` is eight in YAML 1.1 and ten in 1.2, `1:30` is ninety, `2026-02-30` a date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from ecap.config.layers import values

_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,19})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]{1,4})?")
_WORDS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


class Doubtful(Exception):
    """Says what is wrong with a scalar, without it: it may be a secret."""


def construct(node: yaml.ScalarNode) -> Any:
    """Raises Doubtful."""
    kind = node.tag.removeprefix(_TAG)
    made = _MAKERS[kind](node.value) if kind in _MAKERS else _refused(kind)
    said = values.problem(made)
    if said is not None:
        raise Doubtful(said)
    return made


def _refused(kind: str) -> Any:
    if kind == "timestamp":
        raise Doubtful("this is a date to YAML, and no setting is one: write text in quotes")
    raise Doubtful("text, numbers, true and false are the only values: write text in quotes")


def _integer(text: str) -> int:
    if text.isascii() and text.lstrip("+-").isdigit() and not _INTEGER.fullmatch(text):
        if text.lstrip("+-").startswith("0"):
            raise Doubtful("a leading 0 makes it octal to some: write the number without, or text")
        raise Doubtful("the number has more than 64 bits")
    if not _INTEGER.fullmatch(text):
        raise Doubtful("write the number in plain decimal digits, or text in quotes")
    return int(text)


def _float(text: str) -> float:
    if ".inf" in text.lower() or ".nan" in text.lower():
        raise Doubtful("infinity and NaN are no values")
    if not _FLOAT.fullmatch(text) or not any(letter.isdigit() for letter in text):
        raise Doubtful("write the number in plain decimal digits, or text in quotes")
    return float(text)


def _bool(text: str) -> bool:
    if text.lower() not in _WORDS:
        raise Doubtful("write true or false")
    return _WORDS[text.lower()]


_MAKERS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "int": _integer,
    "float": _float,
    "bool": _bool,
    "null": lambda _: None,
}
