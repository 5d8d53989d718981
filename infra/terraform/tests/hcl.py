"""Terraform files as python-hcl2 reads them, with its quotes and markers taken off."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2

BLOCK = "__is_block__"


class Expression(str):
    """An argument that is computed. A plain str is a literal."""


@dataclass(frozen=True)
class Block:
    """A nested block, as against an argument whose value is an object."""

    body: dict[str, Any]


@dataclass(frozen=True)
class Document:
    path: Path
    text: str
    body: dict[str, Any]

    def labelled(self, kind: str) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
        """Blocks of a kind by labels: (("aws_vpc", "this"), {...}) or (("name",), {...})."""
        depth = 2 if kind in ("resource", "data") else 1
        found: list[tuple[tuple[str, ...], dict[str, Any]]] = []
        for entry in self.body.get(kind, []):
            body: dict[str, Any] = entry
            labels: tuple[str, ...] = ()
            for _ in range(depth):
                (label, body), *_ = body.items()
                labels = (*labels, label.strip('"'))
            found.append((labels, clean(body)))
        return found


def value(raw: Any) -> Any:
    if isinstance(raw, dict):
        return Block(clean(raw)) if raw.get(BLOCK) else clean(raw)
    if isinstance(raw, list):
        return [value(item) for item in raw]
    if not isinstance(raw, str):
        return raw
    if raw.startswith('"') and raw.endswith('"') and "${" not in raw:
        return raw[1:-1].replace('\\"', '"')
    if raw.startswith('"'):
        return Expression(raw[1:-1])
    return Expression(raw)


def clean(raw: dict[str, Any]) -> dict[str, Any]:
    return {key.strip('"'): value(v) for key, v in raw.items() if not key.startswith("__")}


@functools.cache
def _parsed(text: str) -> dict[str, Any]:
    body: dict[str, Any] = hcl2.loads(text)
    return body


def read(path: Path) -> Document:
    text = path.read_text()
    return Document(path, text, _parsed(text))


def folder(path: Path) -> list[Document]:
    return [read(f) for f in sorted(path.glob("*.tf"))]
