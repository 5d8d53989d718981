"""Precedence per key equals a simple oracle, over any layers."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ecap.config.layers import keys
from ecap.config.layers.layer import SOURCES, Found, Given, Layer, Source, combined, resolve

NAMES = st.sampled_from(["a", "b", "c"])
TREES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(NAMES, st.integers(0, 9), max_size=3),
    lambda below: st.dictionaries(NAMES, st.one_of(st.integers(0, 9), below), max_size=3),
    max_leaves=8,
)
STACKS = st.dictionaries(st.sampled_from(SOURCES), TREES, max_size=len(SOURCES))


def layer(source: Source, tree: dict[str, Any]) -> Layer:
    leaves = keys.flatten(tree)
    return Layer(source, {key: Given(value, f"{source}#{key}") for key, value in leaves.items()})


def merged(low: Any, high: Any) -> Any:
    """The oracle: branches merge, anything else is replaced by what is higher."""
    if not isinstance(low, dict) or not isinstance(high, dict):
        return high
    both = {name: merged(low[name], high[name]) for name in low.keys() & high.keys()}
    return {**low, **high, **both}


def pruned(tree: Any) -> Any:
    """An empty branch says nothing."""
    if not isinstance(tree, dict):
        return tree
    kept = {name: pruned(value) for name, value in tree.items()}
    return {name: value for name, value in kept.items() if value != {}}


def oracle(stack: dict[Source, dict[str, Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for source in SOURCES:
        tree = merged(tree, pruned(stack.get(source, {})))
    return keys.flatten(tree)


def values(found: dict[str, Found]) -> dict[str, Any]:
    return {key: entry.given.value for key, entry in found.items()}


@given(STACKS)
def test_the_highest_source_of_a_key_decides(stack: dict[Source, dict[str, Any]]) -> None:
    found = resolve({source: layer(source, tree) for source, tree in stack.items()})
    assert values(found) == oracle(stack)


@given(STACKS)
def test_every_value_says_where_it_comes_from(stack: dict[Source, dict[str, Any]]) -> None:
    layers = {source: layer(source, tree) for source, tree in stack.items()}
    for key, entry in resolve(layers).items():
        assert layers[entry.source].values[key] is entry.given
        assert entry.given.place == f"{entry.source}#{key}"
        ranks = [SOURCES.index(source) for source, _ in ((entry.source, 0), *entry.hides)]
        assert ranks == sorted(ranks, reverse=True)
        for source, hidden in entry.hides:
            assert layers[source].values[key] is hidden


@given(STACKS, st.data())
def test_without_an_override_the_layer_below_decides(
    stack: dict[Source, dict[str, Any]], data: st.DataObject
) -> None:
    layers = {source: layer(source, tree) for source, tree in stack.items()}
    layers.pop("override", None)
    before = resolve(layers)
    leaves = sorted(before)
    if not leaves:
        return
    key = data.draw(st.sampled_from(leaves))
    with_one: dict[Source, Layer] = {
        **layers,
        "override": Layer("override", {key: Given("over", "operator")}),
    }
    over = resolve(with_one)
    assert over[key].given.value == "over"
    assert over[key].hides[0] == (before[key].source, before[key].given)
    assert resolve({**layers, "override": Layer("override", {})}) == before


@settings(max_examples=50)
@given(TREES, TREES)
def test_layers_of_one_source_keep_one_shape(first: dict[str, Any], second: dict[str, Any]) -> None:
    both = combined(layer("kubernetes", first), layer("kubernetes", second))
    flat = {key: item.value for key, item in both.values.items()}
    assert keys.flatten(keys.unflatten(flat)) == flat
    for key, value in keys.flatten(second).items():
        assert flat[key] == value


@given(TREES)
def test_flatten_and_unflatten_are_inverse(tree: dict[str, Any]) -> None:
    assert keys.unflatten(keys.flatten(tree)) == pruned(tree)
