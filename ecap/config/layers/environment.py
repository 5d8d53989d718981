"""The layer of environment variables: `ECAP__ORDERS__CURRENCY=EUR` is `orders.currency`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecap.config.layers import keys, layer, misspelt, schema, values, yaml_text
from ecap.config.layers.layer import Given, Layer
from ecap.errors import Misconfigured

PREFIX = "ECAP__"


def read(environ: Mapping[str, str]) -> Layer:
    """Where the setting is not text, what begins with `[` or `{` is a YAML list or mapping.

    Raises Misconfigured when one variable sets a value and another a branch of it, for one
    that is set to nothing, and for one that only looks as if it set something.
    """
    found: dict[str, Given] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            misspelt.refuse(name, environ[name])
            continue
        if not environ[name]:
            raise Misconfigured(f"{name} is set to nothing: give it a value or unset it")
        for leaf, value in leaves(name, key_of(name), environ[name]).items():
            found[leaf] = Given(value, name)
    layer.refuse_two_shapes(found)
    return Layer("environment", found)


def key_of(name: str) -> str:
    """`ECAP__ORDERS__CURRENCY` is `orders.currency`."""
    key = name[len(PREFIX) :].lower().replace("__", ".")
    if not all(key.split(".")) or "." in name:
        raise Misconfigured(f"{name}: write ECAP__SECTION__NAME")
    return key


def leaves(name: str, key: str, text: str) -> Mapping[str, Any]:
    """The settings that `text`, given at `name` for `key`, means."""
    values.checked(text, where=f"{name}: {key}")
    if schema.is_text(key):
        return {key: text}
    value = parsed(name, text)
    if isinstance(value, Mapping):
        return {f"{key}.{leaf}": found for leaf, found in keys.flatten(value, place=name).items()}
    return {key: value}


def parsed(place: str, text: str) -> Any:
    """Lists and mappings in YAML's flow style; anything else stays text."""
    if not text.startswith(("[", "{")):
        return text
    return yaml_text.value(text, place=place)
