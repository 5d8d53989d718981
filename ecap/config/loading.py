"""From layers to one frozen `Settings`, or a `Misconfigured` that names the key."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

import ecap
from ecap.config import layers, references, vault
from ecap.config.settings import Settings, Vault
from ecap.errors import Misconfigured

M = TypeVar("M", bound=BaseModel)


def config_dir(environ: Mapping[str, str]) -> Path:
    named = environ.get("ECAP_CONFIG_DIR")
    return Path(named) if named else Path(ecap.__file__).parent.parent / "configs"


def raw(environ: Mapping[str, str]) -> dict[str, Any]:
    """The merged layers, placeholders expanded, secret references still unread."""
    environment = environ.get("ECAP_ENVIRONMENT") or environ.get("ECAP__ENVIRONMENT", "development")
    folder = config_dir(environ)
    tree = layers.read_file(folder / "base.yaml")
    tree = layers.merge(tree, layers.read_file(folder / f"{environment}.yaml"))
    tree = layers.merge({**tree, "environment": environment}, layers.from_environ(environ))
    expanded: dict[str, Any] = layers.expand(tree, environ)
    return expanded


def load(environ: Mapping[str, str] | None = None, *, secrets: bool = True) -> Settings:
    """Read, merge, resolve and validate.

    `secrets=False` leaves references unread, for a process that only needs
    addresses. Raises Misconfigured, or Unavailable when Vault cannot be reached.
    """
    tree = raw(os.environ if environ is None else environ)
    if secrets:
        store = None
        if references.uses_vault(tree) and tree.get("vault", {}).get("address"):
            store = vault.log_in(_validated(Vault, tree["vault"], "vault"))
        tree = references.resolve(tree, store=store)
    return _validated(Settings, tree, "")


def _validated(model: type[M], tree: Any, key: str) -> M:
    try:
        return model.model_validate(tree)
    except ValidationError as exc:
        lines = [_explain(model, key, error) for error in exc.errors(include_input=False)]
        raise Misconfigured("; ".join(lines)) from None  # the cause would print secret inputs


def _explain(model: type[BaseModel], key: str, error: Any) -> str:
    path = ".".join([key, *map(str, error["loc"])] if key else map(str, error["loc"]))
    if error["type"] != "extra_forbidden":
        return f"{path}: {error['msg']}"
    known = _names_at(model, error["loc"][:-1])
    near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
    return f"{path}: no such setting" + (f"; did you mean {near[0]!r}?" if near else "")


def _names_at(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    for part in path:
        field = model.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type):
            return []
        if not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)
