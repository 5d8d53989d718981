"""What settings there are, read off the models: type, default, meaning, whether it is live."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from ecap.config.layers import keys
from ecap.config.layers.layer import Given, Layer
from ecap.config.settings.section import Fixed
from ecap.config.settings.tree import Settings
from ecap.errors import Invalid

ANY = "*"
"""Stands for a name that is free: `mesh.callees.*.timeout_s`."""


@dataclass(frozen=True)
class Setting:
    key: str
    annotation: Any
    default: Any
    required: bool
    description: str | None
    limits: tuple[Any, ...]
    fixed: str | None
    """Why a running ECAP cannot change it; None: it is live."""

    @property
    def secret(self) -> bool:
        return self.mentions(SecretStr)

    def mentions(self, kind: type) -> bool:
        """Whether a value can be of `kind`, or hold one."""
        return _mentions(self.annotation, kind)


@cache
def settings() -> Mapping[str, Setting]:
    """Every setting of the tree by key, in the order of the models."""
    return {setting.key: setting for setting in _walk(Settings, "", None, Settings())}


def find(key: str) -> Setting:
    """Raises Invalid with the nearest known name."""
    found = known(key)
    if found is None:
        raise Invalid(unknown(key), field=key)
    return found


def known(key: str) -> Setting | None:
    return settings().get(key) or settings().get(pattern(key))


def unknown(key: str) -> str:
    names = [*settings(), *_branches()]
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.75)
    return f"{key}: no such setting" + (f"; did you mean {near[0]}?" if near else "")


def is_secret(key: str) -> bool:
    """Unknown keys count as secret: their values are shown to nobody."""
    setting = known(key)
    return setting is None or setting.secret


def is_text(key: str) -> bool:
    """No list and no mapping can be meant."""
    setting = known(key)
    return setting is not None and not any(
        _mentions(setting.annotation, kind) for kind in (tuple, dict, list)
    )


def is_branch(prefix: str) -> bool:
    wanted = pattern(prefix)
    return any(keys.within(key, wanted) and key != wanted for key in settings())


def pattern(key: str) -> str:
    """`mesh.callees.auth.timeout_s` becomes `mesh.callees.*.timeout_s`."""
    parts: list[str] = []
    for part in key.split("."):
        free = ".".join([*parts, ANY])
        parts.append(ANY if free in _free() else part)
    return ".".join(parts)


@cache
def _branches() -> tuple[str, ...]:
    return tuple(dict.fromkeys(branch for key in settings() for branch in keys.ancestors(key)))


@cache
def _free() -> frozenset[str]:
    return frozenset(
        branch
        for key in settings()
        for branch in (*keys.ancestors(key), key)
        if branch.endswith("." + ANY)
    )


@cache
def defaults() -> Layer:
    """The lowest layer, so that a section given in part keeps the rest of its default."""
    leaves = keys.flatten(Settings().model_dump())
    return Layer(
        "defaults",
        {key: Given(value, "ecap/config/settings") for key, value in leaves.items()},
    )


def _walk(
    model: type[BaseModel], prefix: str, fixed: str | None, default: BaseModel | None
) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        below = getattr(default, name) if default is not None else _default(field)
        reason = fixed or next((m.reason for m in field.metadata if isinstance(m, Fixed)), None)
        yield from _field(prefix + name, field.annotation, field, reason, below)


def _field(
    key: str, annotation: Any, field: FieldInfo, fixed: str | None, default: Any
) -> Iterator[Setting]:
    model = next((kind for kind in _options(annotation) if _is_model(kind)), None)
    if model is not None:
        yield from _walk(model, f"{key}.", fixed, default)
        return
    mapping = next((k for k in _options(annotation) if typing.get_origin(k) is dict), None)
    if mapping is not None:
        name, value = typing.get_args(mapping)
        known = typing.get_args(name) if typing.get_origin(name) is typing.Literal else (ANY,)
        for one in known:
            below = default.get(one) if isinstance(default, Mapping) else None
            for setting in _field(f"{key}.{one}", value, field, fixed, below):
                yield replace(setting, required=setting.required and setting.key != f"{key}.{one}")
        return
    yield Setting(
        key=key,
        annotation=annotation,
        default=default,
        required=default is None and type(None) not in _options(annotation),
        description=field.description,
        limits=tuple(m for m in field.metadata if not isinstance(m, Fixed)),
        fixed=fixed,
    )


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _options(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _mentions(annotation: Any, kind: type) -> bool:
    if annotation is kind or typing.get_origin(annotation) is kind:
        return True
    return any(_mentions(part, kind) for part in typing.get_args(annotation))
