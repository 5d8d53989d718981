"""Layers of settings, and which of them decides each key.

Precedence, low to high, is the order of `SOURCES`. A layer is flat: dotted key to
the value given there and the place it was given at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ecap.config.layers import keys
from ecap.errors import Misconfigured

Source = Literal[
    "defaults", "base", "environment-file", "kubernetes", "vault", "environment", "override"
]
SOURCES: tuple[Source, ...] = get_args(Source)


@dataclass(frozen=True, slots=True)
class Given:
    """One value of one key, as its source wrote it."""

    value: Any = field(repr=False)  # may be a secret
    place: str
    expands: bool = False
    """`${NAME}` is read in it: files and ConfigMaps."""
    final: bool = False
    """Comes out of a secret store, so it is never read as a reference."""
    version: str | None = None
    """What the source calls this state of the value."""

    def __eq__(self, other: object) -> bool:
        """1, 1.0 and True are equal, but `flags.x: 1` is another file than `flags.x: true`."""
        return isinstance(other, Given) and self._exactly() == other._exactly()

    def _exactly(self) -> tuple[Any, ...]:
        return repr(self.value), self.place, self.expands, self.final, self.version


@dataclass(frozen=True, slots=True)
class Layer:
    source: Source
    values: Mapping[str, Given]


@dataclass(frozen=True, slots=True)
class Found:
    """The value that counts for a key, and those it hides, nearest first."""

    source: Source
    given: Given
    hides: tuple[tuple[Source, Given], ...] = ()


def resolve(layers: Mapping[Source, Layer]) -> dict[str, Found]:
    """Per key the highest layer that gives it."""
    found: dict[str, Found] = {}
    for source in SOURCES:
        if source in layers:
            found = laid_over(found, layers[source])
    return found


def laid_over(lower: Mapping[str, Found], layer: Layer) -> dict[str, Found]:
    """With `layer` above what was found in lower ones.

    A value hides all that lower layers say about the branch of the same name, and a
    branch hides a lower value: `a: 1` over `a: {b: 2}` leaves `a: 1`.
    """
    found = dict(lower)
    # A key that was there has nothing above or below it.
    fresh = layer.values.keys() - lower.keys()
    if fresh:
        branches = {branch for key in fresh for branch in keys.ancestors(key)}
        for key in lower:
            if key in branches or not fresh.isdisjoint(keys.ancestors(key)):
                del found[key]
    for key, given in layer.values.items():
        below = found.get(key)
        hides = () if below is None else ((below.source, below.given), *below.hides)
        found[key] = Found(layer.source, given, hides)
    return found


def refuse_two_shapes(values: Mapping[str, Given]) -> None:
    """Raises Misconfigured when one layer says both `a` and `a.b`."""
    for key, given in values.items():
        for branch in keys.ancestors(key):
            if branch in values:
                raise Misconfigured(
                    f"{values[branch].place} sets {branch} as a value, {given.place} as a section"
                )


def combined(*layers: Layer) -> Layer:
    """Several layers of one source as one; a later one hides what an earlier one says."""
    (source,) = {layer.source for layer in layers}
    values: dict[str, Given] = {}
    for layer in layers:
        branches = {branch for key in layer.values for branch in keys.ancestors(key)}
        values = {
            key: given
            for key, given in values.items()
            if key not in branches and layer.values.keys().isdisjoint(keys.ancestors(key))
        }
        values.update(layer.values)
    return Layer(source, values)
