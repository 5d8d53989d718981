"""A YAML document as a layer, with the line each value stands on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ecap.config.layers.layer import Given, Layer, Source
from ecap.errors import Misconfigured

# Aliases can make a page of text into billions of leaves.
_MOST_LEAVES = 10_000


def read(path: Path, source: Source, *, name: str | None = None) -> Layer:
    """Raises Misconfigured with the file and line."""
    try:
        text = path.read_text()
    except OSError as exc:
        raise Misconfigured(f"cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise Misconfigured(f"{path}: not UTF-8 text, at byte {exc.start}") from None
    return parse(text, source, place=name or str(path))


def parse(text: str, source: Source, *, place: str) -> Layer:
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            values = dict(_Walk(loader, place).leaves(node)) if node is not None else {}
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = mark.line + 1 if mark else "?"
        # The parser's own text quotes the line, which may hold a secret.
        raise Misconfigured(f"{place}, line {line}: {exc.problem}") from None
    except yaml.YAMLError as exc:
        raise Misconfigured(f"{place}: not YAML text ({type(exc).__name__})") from None
    return Layer(source, values)


class _Walk:
    """From nodes, because constructed values have lost their lines."""

    def __init__(self, loader: yaml.SafeLoader, place: str) -> None:
        self._loader = loader
        self._place = place
        self._above: list[yaml.Node] = []
        self._count = 0

    def leaves(self, node: yaml.Node) -> Iterator[tuple[str, Given]]:
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null"):
            return
        if not isinstance(node, yaml.MappingNode):
            raise Misconfigured(f"{self._place}: the top level has to be a mapping")
        yield from self._branch(node, "")

    def _branch(self, node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, Given]]:
        self._enter(node)
        seen: set[str] = set()
        for key_node, _ in node.value:
            name = self._name(key_node)
            if name in seen:
                raise self._wrong(key_node, f"the key {prefix + name!r} stands twice")
            seen.add(name)
        # Puts what `<<:` brings in front, so that the keys written here count.
        self._loader.flatten_mapping(node)
        for key_node, value_node in node.value:
            name = self._name(key_node)
            if isinstance(value_node, yaml.MappingNode):
                yield from self._branch(value_node, f"{prefix}{name}.")
            else:
                yield prefix + name, self._leaf(value_node)
        self._above.pop()

    def _leaf(self, node: yaml.Node) -> Given:
        self._count += 1
        if self._count > _MOST_LEAVES:
            raise self._wrong(node, f"more than {_MOST_LEAVES} settings")
        place = f"{self._place}:{node.start_mark.line + 1}"
        return Given(self._value(node), place, expands=True)

    def _value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._loader.construct_object(node)
        self._enter(node)
        value: Any
        if isinstance(node, yaml.SequenceNode):
            value = [self._value(item) for item in node.value]
        else:
            assert isinstance(node, yaml.MappingNode)
            value = {self._name(k): self._value(v) for k, v in node.value}
        self._above.pop()
        return value

    def _name(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._wrong(node, "a key has to be text")
        name = str(node.value)
        if not name or "." in name:
            raise self._wrong(node, f"{name!r} is not a name: write text without dots")
        return name

    def _enter(self, node: yaml.Node) -> None:
        if any(node is above for above in self._above):
            raise self._wrong(node, "an alias contains itself")
        self._above.append(node)

    def _wrong(self, node: yaml.Node, problem: str) -> Misconfigured:
        return Misconfigured(f"{self._place}, line {node.start_mark.line + 1}: {problem}")
