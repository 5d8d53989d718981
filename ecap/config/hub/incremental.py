"""From layers to settings again and again: what a change does not touch is not made anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecap.config import protocol
from ecap.config.layers import keys, layer, overrides, schema, validation
from ecap.config.layers.layer import Found, Layer, Source
from ecap.config.layers.overrides import Overrides
from ecap.config.settings.tree import Settings


class Incremental:
    """Remembers the last it made, whether it was accepted or not."""

    def __init__(self) -> None:
        self._layers: Mapping[Source, Layer] = {}
        self._lower: Mapping[str, Found] = {}
        self._values: Mapping[str, Any] = {}
        self._settings: Settings | None = None
        self._leaves: Mapping[str, Any] = {}

    def found(self, given: Mapping[Source, Layer], present: Overrides) -> dict[str, Found]:
        """What counts for each key. Nearly every change is of an override alone."""
        lower = {"defaults": schema.defaults(), **given}
        if lower != self._layers:
            self._layers, self._lower = lower, layer.resolve(lower)
        return layer.laid_over(self._lower, overrides.layer(present))

    def settings(
        self, values: Mapping[str, Any], found: Mapping[str, Found]
    ) -> tuple[Settings, Mapping[str, Any]]:
        """And their leaves. Sections in which no value differs are those of the last time.

        Raises Misconfigured with the place of what is wrong.
        """
        differ = {key.partition(".")[0] for key in keys.differing(self._values, values)}
        present = self._settings
        if present is None:
            settings = validation.validate(values, found)
            leaves = protocol.leaves_of(settings)
        else:
            kept = {name: getattr(present, name) for name in Settings.model_fields.keys() - differ}
            settings = validation.validate(values, found, kept=kept)
            leaves = {k: v for k, v in self._leaves.items() if k.partition(".")[0] in kept}
            leaves |= protocol.leaves_of(settings, sections=differ)
        self._values, self._settings, self._leaves = values, settings, leaves
        return settings, leaves
