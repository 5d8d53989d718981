"""A YAML document as a layer, with the line each value stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ecap.config.layers import values, yaml_scalars
from ecap.config.layers.layer import Given, Layer, Source
from ecap.errors import Misconfigured

T = TypeVar("T")

# Aliases can make a page of text into billions of leaves.
_MOST_LEAVES = 10_000
_MOST_BYTES = 1 << 20
_LONGEST_NAME = 200


def read(path: Path, source: Source, *, name: str | None = None) -> Layer:
    """Raises Misconfigured with the file and line."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode()
    except OSError as exc:
        raise Misconfigured(f"cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise Misconfigured(f"{path}: not UTF-8 text, at byte {exc.start}") from None
    return parse(text, source, place=name or str(path))


def parse(text: str, source: Source, *, place: str) -> Layer:
    """Raises Misconfigured with the place and line."""
    return Layer(source, _read(text, place, lambda walk, node: dict(walk.leaves(node)), {}))


def value(text: str, *, place: str) -> Any:
    """Of a document that is one value. Raises Misconfigured with the place."""
    return _read(text, place, lambda walk, node: walk.value(node), None)


def _read(text: str, place: str, take: Callable[[_Walk, yaml.Node], T], empty: T) -> T:
    if len(text) > _MOST_BYTES:
        raise Misconfigured(f"{place}: larger than {_MOST_BYTES} bytes")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            return empty if node is None else take(_Walk(loader, place), node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = mark.line + 1 if mark else "?"
        # The parser's own text quotes the line, which may hold a secret.
        raise Misconfigured(f"{place}, line {line}: {exc.problem}") from None
    except yaml.YAMLError as exc:
        raise Misconfigured(f"{place}: not YAML text ({type(exc).__name__})") from None
    except RecursionError:  # aliases of aliases
        raise Misconfigured(f"{place}: nested too deeply") from None


class _Loader(yaml.SafeLoader):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > values.DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "nested too deeply", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """With each key once: merges of merges would double what they bring again and again."""
        super().flatten_mapping(node)
        last = {key.value: (key, value) for key, value in node.value if _plain(key)}
        if len(last) < len(node.value):
            node.value = [*last.values(), *(pair for pair in node.value if not _plain(pair[0]))]


def _plain(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


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
                place = f"{self._place}:{value_node.start_mark.line + 1}"
                found = self.value(value_node, f"{prefix}{name}")
                yield prefix + name, Given(found, place, expands=True)
        self._above.pop()

    def value(self, node: yaml.Node, key: str = "") -> Any:
        self._count += 1
        if self._count > _MOST_LEAVES:
            raise self._wrong(node, f"more than {_MOST_LEAVES} settings")
        if isinstance(node, yaml.ScalarNode):
            try:
                return yaml_scalars.construct(node)
            except yaml_scalars.Doubtful as exc:
                raise self._wrong(node, f"{key}: {exc}" if key else str(exc)) from None
        self._enter(node)
        value: Any
        if isinstance(node, yaml.SequenceNode):
            value = [self.value(item, key) for item in node.value]
        else:
            assert isinstance(node, yaml.MappingNode)
            self._loader.flatten_mapping(node)
            value = {self._name(k): self.value(v, key) for k, v in node.value}
        self._above.pop()
        return value

    def _name(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._wrong(node, "a key has to be text")
        name = str(node.value)
        if not name or "." in name:
            raise self._wrong(node, f"{name!r} is not a name: write text without dots")
        if len(name) > _LONGEST_NAME or values.problem(name):
            raise self._wrong(node, "a key is too long, or not text")
        return name

    def _enter(self, node: yaml.Node) -> None:
        if any(node is above for above in self._above):
            raise self._wrong(node, "an alias contains itself")
        self._above.append(node)

    def _wrong(self, node: yaml.Node, problem: str) -> Misconfigured:
        return Misconfigured(f"{self._place}, line {node.start_mark.line + 1}: {problem}")
