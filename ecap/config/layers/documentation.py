"""docs/configuration.md, written from the settings themselves."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr

from ecap.config.layers import redaction, schema
from ecap.config.layers.schema import Setting

HEAD = """\
# Configuration

Written by `python -m ecap.config.layers.documentation`; do not edit.

Precedence, low to high: field defaults < `configs/base.yaml` < `configs/<environment>.yaml` <
Kubernetes ConfigMap/Secret < Vault < environment variables < operator override. It is
resolved for each setting by itself; `ecap config explain KEY` says which source counts and
which it hides.

- A setting `orders.currency` is `orders: {currency: ...}` in a file, `ECAP__ORDERS__CURRENCY` in
  the environment, and `orders.currency` as the key of a ConfigMap or of the Vault secret
  `vault.config_path`. A name in `*` is free; SERVICE is each of the eight.
- `${NAME}` and `${NAME:default}` are read in files and ConfigMaps; `$${` is a plain `${`.
- Secrets are written as references: `vault:path#key`, `k8s:name/key`, `file:/path`, or `enc:...`
  made by `ecap secrets put --enc`, and no other setting takes one. What comes out of a secret store
  is never read as a reference; line ends behind a secret are no part of it.
- A change of a **live** setting reaches every process in milliseconds, and takes effect for
  what begins from then on. The others are taken by a restart, and a change while ECAP runs is
  refused with the reason given here.
- `services.*` are live where `ecap up` deployed the services. On a cluster the deployment is
  KubeRay's, which would undo the change: it is refused, and belongs into the RayService.
"""


_TYPES = {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}


def page() -> str:
    parts = [HEAD]
    section = None
    for setting in _once():
        name = setting.key.split(".")[0] if "." in setting.key else "top"
        if name != section:
            section = name
            title = "At the top" if name == "top" else name
            parts.append(
                f"\n## {title}\n\n| Setting | Type | Default | Live | |\n|---|---|---|---|---|"
            )
        parts.append(row(setting))
    return "\n".join(parts) + "\n"


def _once() -> Iterator[Setting]:
    """What is the same for every service stands there once."""
    seen: dict[str, Setting] = {}
    for setting in schema.settings().values():
        if not setting.key.startswith("services."):
            yield setting
            continue
        leaf = setting.key.split(".", 2)[2]
        alike = replace(setting, key=f"services.SERVICE.{leaf}")
        if seen.setdefault(leaf, alike) != alike:
            yield setting
        elif seen[leaf] is alike:
            yield alike


def row(setting: Setting) -> str:
    live = "yes" if setting.fixed is None else f"no: {setting.fixed}"
    cells = (
        f"`{setting.key}`",
        _escaped(", ".join(_type(setting))),
        "required" if setting.required else _escaped(_default(setting)),
        live,
        _escaped(setting.description or ""),
    )
    return f"| {' | '.join(cells)} |"


def _default(setting: Setting) -> str:
    if setting.default is None:
        return "unset"
    if setting.secret:
        return "none" if not setting.default else redaction.HIDDEN
    value = redaction.plain(setting.default)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(setting: Setting) -> Iterator[str]:
    yield _name(setting.annotation)
    signs = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}
    for limit in setting.limits:
        for kind, sign in signs.items():
            if isinstance(limit, kind):
                yield f"{sign} {getattr(limit, kind.__name__.lower())}"


def _name(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_name(part) for part in arguments if part is not type(None))
    if origin is Annotated:
        return _name(arguments[0])
    if origin is typing.Literal:
        return " ".join(f"`{part}`" for part in arguments)
    if origin is tuple:
        return f"list of {_name(arguments[0])}"
    if annotation is SecretStr:
        return "secret"
    name = str(annotation.__name__)
    return _TYPES.get(name, name.lower())


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(page())
