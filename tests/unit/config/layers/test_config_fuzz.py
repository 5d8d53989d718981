"""Whatever a source says becomes settings that can be carried everywhere, or a refusal that
names the place; never another error. `--hypothesis-profile=thorough` looks longer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap.config.layers import assembly, environment, overrides, schema, yaml_text
from ecap.config.layers.layer import Layer, Source
from ecap.config.layers.overrides import Edit
from ecap.config.layers.values import problem
from ecap.config.protocol import Snapshot, leaves_of, settings_of
from ecap.config.sources.kubernetes import as_layer
from ecap.config.sources.kubernetes_api import Item
from ecap.errors import Misconfigured, Refused
from ecap.serve.gateway.config.models import NewValue

NASTY = (
    "2026-02-30", "2026-02-28", "2026-02-28T25:61:00Z", "10**30", "9" * 20, "-" + "9" * 20,
    "9" * 5000, "1e999", ".inf", "-.inf", ".nan", "NaN", "Infinity", "010", "0o10", "0x1F", "0b1",
    "1_000", "1:30", "1:30.5", "190:20:30", "1.", ".5", ".", "+", "-", "=", "<<", "~", "null", "",
    "yes", "NO", "!!binary x", "!!int x", "!!float x", "!!bool x", "!!null x", "!!timestamp x",
    "!!set {a}", "!!omap [a: 1]", "!!python/name:os.system ''", '"\\ud800"', '"\\0"', "[[[[1]]]]",
    "[" * 200, "{a: {b: {c: 1}}}", "&a [*a]", "*b", "{<<: {a: 1}}", "? [1]", "a: b", "%", "@", "`",
    "vault:x", "file:/etc/passwd", "enc:", "k8s:/", "${A", "${A}", "${A:", "${A:${A:${A}}}", "$${",
    "\u0660\u0661%", "25%", "1/0", "-0", "-0.0", "1e-400", "é", "\x85", "\u2028", "'", '"',
)  # fmt: skip
KEYS = [key.replace("*", "auth") for key in schema.settings()]
keys = st.sampled_from([*KEYS, "flags.checkout", "orders", "orders.max_lines.x", "no.such", "a..b"])
texts = st.sampled_from(NASTY) | st.text(max_size=20)
documents = st.one_of(
    st.text(max_size=200),
    st.dictionaries(keys, texts, max_size=4).map(
        lambda found: "\n".join(_nested(key, text) for key, text in found.items())
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts
    | st.sampled_from([10**30, -(10**400), 2**63, 2**64, 1e308, float("nan")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def _nested(key: str, text: str) -> str:
    *above, name = key.split(".")
    return (
        "{" + "".join(f"{part}: {{" for part in above) + f"{name}: {text}" + "}" * (len(above) + 1)
    )


def whole(layers: Mapping[Source, Layer], environ: Mapping[str, str] | None = None) -> None:
    """As the hub does it, and as a member receives it. Raises Misconfigured."""
    given: dict[Source, Layer] = {"defaults": schema.defaults(), **layers}
    settings = assembly.draft(given, environ or {}).unread()
    leaves = leaves_of(settings)
    assert settings_of(Snapshot.of(1, leaves).leaves) == settings
    json.dumps(leaves, allow_nan=False)


def refusal(attempt: Callable[[], None]) -> str | None:
    """What it says, or None."""
    try:
        attempt()
    except (Misconfigured, Refused) as exc:
        return exc.detail
    return None


@given(documents)
def test_yaml(text: str) -> None:
    environ = {"A": "${B}", "B": "1"}
    said = refusal(
        lambda: whole({"base": yaml_text.parse(text, "base", place="base.yaml")}, environ)
    )
    assert said is None or "base.yaml" in said


@given(st.dictionaries(keys, texts.filter(lambda text: "\0" not in text), max_size=4))
def test_environment(found: dict[str, str]) -> None:
    environ = {f"ECAP__{k.upper().replace('.', '__')}": text for k, text in found.items()}
    said = refusal(lambda: whole({"environment": environment.read(environ)}, environ))
    assert said is None or "ECAP__" in said


@given(st.sampled_from(["configmaps", "secrets"]), st.dictionaries(keys, texts, max_size=4), texts)
def test_config_maps(kind: Any, found: dict[str, str], text: str) -> None:
    values = {**found, "more.yaml": _nested("orders.max_lines", text)}
    said = refusal(lambda: whole({"kubernetes": as_layer(Item(kind, "name", "1", values))}))
    assert said is None or "name/" in said


@given(keys, json_values)
def test_json(key: str, value: Any) -> None:
    """What the door lets through."""

    def attempt() -> None:
        edit = Edit({key: value})
        present = overrides.edited({}, edit, author="ann", reason="why", now=0.0)
        whole({"override": overrides.layer(present)})

    if problem(value) is None:
        json.dumps(NewValue.model_validate({"value": value, "reason": "x"}).value)
    said = refusal(attempt)
    assert said is None or key in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("orders:\n  max_lines: 2026-02-30\n", r"line 2: orders\.max_lines: this is a date"),
        ("orders:\n  max_lines: 99999999999999999999\n", "line 2: orders.max_lines: .*64 bits"),
        (f"orders:\n  max_lines: {'9' * 5000}\n", "line 2: orders.max_lines: .*64 bits"),
        ("orders:\n  max_lines: 010\n", "line 2: orders.max_lines: a leading 0"),
        ("orders:\n  max_lines: 1:30\n", "line 2: orders.max_lines: .*plain decimal digits"),
        ("orders:\n  max_lines: 0x1F\n", "line 2: orders.max_lines: .*plain decimal digits"),
        ("orders:\n  max_lines: 1_000\n", "line 2: orders.max_lines: .*plain decimal digits"),
        ("hub:\n  hold_s: 1:30.5\n", "line 2: hub.hold_s: .*plain decimal digits"),
        ("hub:\n  hold_s: .inf\n", "line 2: hub.hold_s: infinity and NaN"),
        ("hub:\n  hold_s: .nan\n", "line 2: hub.hold_s: infinity and NaN"),
        ("hub:\n  hold_s: !!binary aGk=\n", "line 2: hub.hold_s: text, numbers"),
        ('smtp:\n  host: "\\0"\n', "line 2: smtp.host: a NUL"),
        ('smtp:\n  host: "\\ud800"\n', "line 2: smtp.host: the text is not UTF-8"),
        ("a: " + "[" * 5000, "line 1: nested too deeply"),
        (f"smtp:\n  host: {'x' * 70_000}\n", "line 2: smtp.host: the text is longer"),
    ],
)
def test_values_that_killed_are_refused_with_line_and_key(text: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=f"base.yaml, {message}"):
        yaml_text.parse(text, "base", place="base.yaml")


def test_merges_of_merges_cannot_blow_up() -> None:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60)]
    found = yaml_text.parse("\n".join(lines), "base", place="base.yaml")
    assert found.values["a59.y"].value == 2


@pytest.mark.parametrize("text", [str(10**30), "9" * 5000, "inf", "nan", "1e999"])
@pytest.mark.parametrize(
    "key", ["orders.max_lines", "mesh.default.breaker.failure_ratio", "fraud.amount_deny"]
)
def test_variables_become_no_monsters(key: str, text: str) -> None:
    name = "ECAP__" + key.upper().replace(".", "__")
    with pytest.raises(Misconfigured, match=f"{name}: {key}"):
        whole({"environment": environment.read({name: text})})


@pytest.mark.parametrize("value", [10**30, -(2**63) - 1, float("inf"), float("nan"), []])
def test_json_is_held_at_the_door(value: Any) -> None:
    if isinstance(value, list):
        for _ in range(20):
            value = [value]
    with pytest.raises(ValueError, match=r"64 bits|infinity|nested"):
        NewValue.model_validate({"value": value, "reason": "x"})


def test_placeholders_cannot_blow_up() -> None:
    environ = {f"V{n}": f"${{V{n + 1}}}${{V{n + 1}}}" for n in range(60)} | {"V60": "x"}
    for text in ("${V0}", "${A:" * 2000 + "}" * 2000):
        layer = yaml_text.parse(f"smtp: {{host: '{text}'}}", "base", place="base.yaml")
        with pytest.raises(Misconfigured, match=r"base\.yaml:1: smtp\.host: placeholders"):
            whole({"base": layer}, environ)
