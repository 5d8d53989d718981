"""Layers into settings: precedence, placeholders, references, validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ecap.config.layers import layer as layering
from ecap.config.layers import placeholders, references, schema, validation, values
from ecap.config.layers.layer import Found, Layer, Source
from ecap.config.layers.references import Read, Reference
from ecap.config.settings.tree import Settings


@dataclass(frozen=True)
class Draft:
    """What the layers say together, references still unread."""

    found: Mapping[str, Found]
    values: Mapping[str, Any] = field(repr=False)

    @cached_property
    def _referring(self) -> Mapping[str, Any]:
        """Of secrets alone: no other setting is ever replaced by what a store holds."""
        return {
            key: value
            for key, value in self.values.items()
            if references.refers(value) and _may_refer(key) and not self.found[key].given.final
        }

    def references(self) -> dict[Reference, str]:
        """Each with one place it stands at, for messages."""
        return {
            reference: _where(key, self.found[key])
            for key, value in self._referring.items()
            for reference in references.collect(value, where=_where(key, self.found[key]))
        }

    def leaves(self, read: Mapping[Reference, str] | Read) -> dict[str, Any]:
        resolved = {
            key: references.substitute(value, read, where=_where(key, self.found[key]))
            for key, value in self._referring.items()
        }
        return {**self.values, **resolved}

    def settings(self, read: Mapping[Reference, str] | Read) -> Settings:
        return validation.validate(self.leaves(read), self.found)

    def unread(self) -> Settings:
        """For a process that needs addresses only: secrets hold their references."""
        return validation.validate(self.values, self.found)


def draft(layers: Mapping[Source, Layer], environ: Mapping[str, str]) -> Draft:
    """Raises Misconfigured with the place of what is wrong."""
    return drafted(layering.resolve(layers), environ)


def drafted(found: Mapping[str, Found], environ: Mapping[str, str]) -> Draft:
    """Raises as `draft`."""
    validation.refuse_plain_secrets(found)
    written = {key: _value(key, entry, environ) for key, entry in found.items()}
    validation.refuse_misplaced_references(written, found)
    return Draft(found, written)


def _value(key: str, entry: Found, environ: Mapping[str, str]) -> Any:
    if entry.source == "defaults":
        return entry.given.value
    value = values.checked(entry.given.value, where=_where(key, entry))
    if entry.given.expands:
        value = placeholders.expand(value, environ, where=_where(key, entry))
    if isinstance(value, str) and _may_refer(key):
        return references.trimmed(value)
    return value


def _may_refer(key: str) -> bool:
    setting = schema.known(key)
    return setting is not None and setting.secret


def _where(key: str, entry: Found) -> str:
    return f"{entry.given.place}: {key}"
