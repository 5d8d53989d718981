"""From a resolved tree to a frozen `Settings`, or a `Misconfigured` that says where it is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ecap.config.layers import keys, references, schema
from ecap.config.layers.layer import Found
from ecap.config.settings.tree import Settings
from ecap.errors import Misconfigured

M = TypeVar("M", bound=BaseModel)


def validate(
    values: Mapping[str, Any],
    found: Mapping[str, Found],
    *,
    kept: Mapping[str, Any] | None = None,
) -> Settings:
    """`values` are resolved leaves; `found` says where each came from. Of the sections in
    `kept`, which are valid already, no value is read."""
    if kept:
        values = {k: value for k, value in values.items() if k.partition(".")[0] not in kept}
    return _validate(Settings, {**keys.unflatten(values), **(kept or {})}, "", found)


def section(model: type[M], name: str, values: Mapping[str, Any], found: Mapping[str, Found]) -> M:
    """One section alone, for what has to be known before the others can be read."""
    branch = f"{name}."
    leaves = {
        key.removeprefix(branch): value for key, value in values.items() if key.startswith(branch)
    }
    return _validate(model, keys.unflatten(leaves), branch, found)


def _validate(
    model: type[M], tree: Mapping[str, Any], branch: str, found: Mapping[str, Found]
) -> M:
    try:
        return model.model_validate(tree)
    except ValidationError as exc:
        lines = [
            _explain(branch + ".".join(map(str, error["loc"])), error, found)
            for error in exc.errors(include_input=False, include_url=False)
        ]
        raise Misconfigured("; ".join(dict.fromkeys(lines))) from None  # the cause prints inputs


def _explain(key: str, error: Any, found: Mapping[str, Found]) -> str:
    if error["loc"][-1:] == ("[key]",):  # of a mapping whose names are known
        key = key.removesuffix(".[key]")
        return f"{where(key, found)}{schema.unknown(key)}"
    place = where(key, found)
    if error["type"] == "extra_forbidden":
        return f"{place}{schema.unknown(key)}"
    if error["type"] == "missing":
        return f"{place}{key}: a value is required; set it in a file or as {variable(key)}"
    return f"{place}{key}: {error['msg'].removeprefix('Value error, ')}"


def where(key: str, found: Mapping[str, Found]) -> str:
    """The place of `key`, or of the leaf above or below that the error is about."""
    for candidate in (key, *reversed(list(keys.ancestors(key)))):
        if candidate in found:
            return f"{found[candidate].given.place}: "
    below = sorted(
        found[leaf].given.place
        for leaf in found
        if keys.within(leaf, key) and found[leaf].source != "defaults"
    )
    return f"{below[0]}: " if below else ""


def variable(key: str) -> str:
    return "ECAP__" + key.upper().replace(".", "__")


def refuse_plain_secrets(found: Mapping[str, Found]) -> None:
    """A secret stands in files, ConfigMaps and overrides only as a reference.

    They are copied, committed and kept in the history; a value there is no secret.
    """
    for key, entry in found.items():
        if entry.source in ("defaults", "vault", "environment") or entry.given.final:
            continue
        if schema.is_secret(key) and schema.known(key) and _is_plain(entry.given.value):
            raise Misconfigured(
                f"{entry.given.place}: {key} is a secret: store it with `ecap secrets put`"
                " and write a reference (vault:path#key, k8s:name/key, enc:..., file:/path)"
            )


def refuse_misplaced_references(values: Mapping[str, Any], found: Mapping[str, Found]) -> None:
    """`values` are what counts, placeholders read. What is not a secret is shown to
    whoever asks, so nothing of a store may come to stand there."""
    for key, value in values.items():
        setting = schema.known(key)
        if setting is None or setting.secret or found[key].given.final:
            continue
        if references.refers(value):
            raise Misconfigured(
                f"{found[key].given.place}: {key} is no secret, so it takes no reference"
                " (vault:, k8s:, enc:, file:): write the value itself"
            )


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_plain(item) for item in value)
    if value is None or value == "":
        return False
    if isinstance(value, str) and value.startswith("${"):
        return False
    return not references.is_reference(value)
