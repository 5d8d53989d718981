"""Raw layers, lowest first: base.yaml < <environment>.yaml < environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ecap.errors import Misconfigured

PREFIX = "ECAP__"
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


class _UniqueKeys(yaml.SafeLoader):
    """A repeated key would silently win; refuse it instead."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_file(path: Path) -> dict[str, Any]:
    try:
        # _UniqueKeys is a SafeLoader: no object construction from tags.
        loaded = yaml.load(path.read_text(), Loader=_UniqueKeys)  # noqa: S506
    except OSError as exc:
        raise Misconfigured(f"cannot read {path}: {exc.strerror}") from exc
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else "?"
        raise Misconfigured(f"{path}, line {line}: {exc.problem}") from exc
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise Misconfigured(f"{path}: the top level has to be a mapping")
    return loaded


def from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    """`ECAP__ORDERS__CURRENCY=EUR` becomes `{"orders": {"currency": "EUR"}}`.

    Values are read as YAML scalars or flow collections, so `[a, b]` is a list.
    """
    tree: dict[str, Any] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        *parents, leaf = name[len(PREFIX) :].lower().split("__")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise Misconfigured(f"{name}: {part} is set as a value and as a section")
        node[leaf] = _scalar(name, environ[name])
    return tree


def _scalar(name: str, text: str) -> Any:
    if text[:1] not in "[{":
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise Misconfigured(f"{name}: not a valid list or mapping") from exc


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def expand(value: Any, environ: Mapping[str, str], *, key: str = "") -> Any:
    """Replace `${NAME}` and `${NAME:default}` in every string."""
    if isinstance(value, Mapping):
        return {
            k: expand(v, environ, key=f"{key}.{k}" if key else str(k)) for k, v in value.items()
        }
    if isinstance(value, list):
        return [expand(v, environ, key=f"{key}[{i}]") for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        found = environ.get(name, default)
        if found is None:
            raise Misconfigured(f"{key}: the environment variable {name} is not set")
        return found

    return _PLACEHOLDER.sub(replace, value)
