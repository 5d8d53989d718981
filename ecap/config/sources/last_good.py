"""The files that a process of this machine has started with, kept for when they are refused.

Each process reads its files by itself, so each keeps them by itself: no hub has to be
there, nor a database whose address stands in a file that cannot be read. What is kept is
what the files say, references unread: no secret is in it, and no key is needed to read
it. One file for each folder of configuration and environment, 0600, in the state folder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ecap.config.layers.layer import Given, Layer, Source

Layers = dict[Source, Layer]
_VARIABLE = "ECAP__STATE_DIR"


def path(environ: Mapping[str, str], *, folder: Path, name: str) -> Path:
    """Of what `folder` says for the environment `name`. A state folder that stands in a
    refused file is not known: then it is the usual one."""
    root = Path(environ.get(_VARIABLE) or ".ecap")
    digest = hashlib.sha256(f"{folder.absolute()} {name}".encode()).hexdigest()[:12]
    return root / "config" / f"{name}-{digest}.json"


def keep(place: Path, layers: Mapping[Source, Layer]) -> None:
    """Nothing where there is no state folder, or none that can be written: a command in
    passing makes none, and whoever starts well needs nothing of this."""
    content = _encoded(layers)
    with suppress(OSError):
        if place.exists() and place.read_bytes() == content:
            return
        if not place.parent.parent.is_dir():
            return
        place.parent.mkdir(mode=0o700, exist_ok=True)
        part = place.with_name(f"{place.name}.{os.getpid()}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)


def read(place: Path) -> Layers | None:
    """None where nothing was kept, or what was cannot be read."""
    try:
        found: dict[Source, dict[str, list[Any]]] = msgspec.json.decode(place.read_bytes())
        return {
            source: Layer(source, {key: Given(*given) for key, given in values.items()})
            for source, values in found.items()
        }
    except (OSError, ValueError, TypeError):
        return None


def _encoded(layers: Mapping[Source, Layer]) -> bytes:
    return msgspec.json.encode(
        {
            source: {
                key: [given.value, given.place, given.expands, given.final, given.version]
                for key, given in layer.values.items()
            }
            for source, layer in layers.items()
        }
    )
