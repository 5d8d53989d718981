"""The few numbers of `/metrics` that are shown, from the Prometheus text format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Samples:
    def __init__(self, text: str) -> None:
        self._samples = list(_parsed(text))

    def by(self, name: str, label: str, **wanted: str) -> dict[str, float]:
        """Sums of a metric for each value of a label, of the samples with the wanted labels."""
        found: dict[str, float] = {}
        for sample, labels, value in self._samples:
            if sample == name and wanted.items() <= labels.items():
                key = labels.get(label, "")
                found[key] = found.get(key, 0.0) + value
        return found

    def total(self, name: str, **wanted: str) -> float:
        return sum(self.by(name, "", **wanted).values())


def _parsed(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            yield match[1], dict(_LABEL.findall(match[2] or "")), float(match[3])
