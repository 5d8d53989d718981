"""What a bad file gets: refused, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecap.config.layers import yaml_text
from ecap.errors import Misconfigured


def parse(text: str) -> dict[str, object]:
    layer = yaml_text.parse(text, "base", place="base.yaml")
    return {key: given.value for key, given in layer.values.items()}


def test_each_value_knows_its_line() -> None:
    text = "orders:\n  currency: EUR\nlog: {level: INFO}\nflags:\n  a: true\n"
    layer = yaml_text.parse(text, "base", place="base.yaml")
    assert {key: given.place for key, given in layer.values.items()} == {
        "orders.currency": "base.yaml:2",
        "log.level": "base.yaml:3",
        "flags.a": "base.yaml:5",
    }
    assert layer.values["flags.a"].value is True


@pytest.mark.parametrize("text", ["", "# nothing\n", "null\n", "{}"])
def test_nothing_is_an_empty_layer(text: str) -> None:
    assert parse(text) == {}


def test_merges_of_anchors_are_followed() -> None:
    text = "flags: &f {a: true, b: true}\nstream:\n  shards: {<<: *f, b: false}\n"
    assert parse(text)["stream.shards.a"] is True
    assert parse(text)["stream.shards.b"] is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("orders:\n  currency: EUR\n  currency: USD\n", "line 3.*'orders.currency'.*twice"),
        ("orders: {a: 1\nlog: 2\n", "line 2"),
        ("orders:\n\tcurrency: EUR\n", "line 2"),
        ("- a\n- b\n", "top level has to be a mapping"),
        ("orders: &o\n  again: *o\n", "line 1: an alias contains itself"),
        ("orders: [1, &x [*x]]\n", "line 1"),
        ("orders:\n  a.b: 1\n", "line 2: 'a.b' is not a name"),
        ("orders:\n  ? [1]\n  : 2\n", "line 2: a key has to be text"),
        ("orders: !!python/object:os.system {}\nx: !!python/name:os.system ''\n", "line"),
        ("a: *missing\n", "line 1"),
        ("a: \x00b\n", "not YAML text"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=f"base.yaml.*{message}"):
        parse(text)


def test_aliases_cannot_blow_up() -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}}}" for n in range(1, 40)]
    with pytest.raises(Misconfigured, match="more than"):
        parse("\n".join(lines))


def test_the_text_around_an_error_is_not_shown() -> None:
    with pytest.raises(Misconfigured) as caught:
        parse('auth:\n  admin_password: "hunter2-canary\nlog: {}\n')
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_away_or_binary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no\.yaml: No such file"):
        yaml_text.read(tmp_path / "no.yaml", "base")
    (tmp_path / "bin.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Misconfigured, match=r"bin\.yaml: not UTF-8"):
        yaml_text.read(tmp_path / "bin.yaml", "base")
