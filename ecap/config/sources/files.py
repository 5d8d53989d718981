"""The files of a folder, live: in-place writes, atomic renames, the symlink swap of a
mounted ConfigMap. The only module that imports watchdog.

Events only say "look"; what counts is what a look finds. A look without an event,
now and then, covers file systems that send none.

Some write a file in pieces: empty first, then half of it, the rest a second later. What
does not parse waits for its rest by itself; what parses and may be half of something
waits until it has been left alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

from watchdog.events import (
    FileClosedNoWriteEvent,
    FileOpenedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from ecap.config.layers.layer import Layer, Source
from ecap.config.sources.source import Reading, SourceHealth
from ecap.errors import Misconfigured

_MOST_EVENTS = 50  # of one change; a file written all the time is read all the same

Parse = Callable[[], Mapping[Source, Layer]]


class FileSource:
    """`read` parses all files and raises Misconfigured; the last good layers stay then.

    `paths` are the files; they may be symlinks, and so may their folders.
    """

    def __init__(
        self,
        paths: tuple[Path, ...],
        read: Parse,
        *,
        debounce_s: float,
        poll_s: float,
        settle_s: float,
        health: SourceHealth,
    ) -> None:
        self.health = health
        self._paths = paths
        self._read = read
        self._debounce_s = debounce_s
        self._poll_s = poll_s
        self._settle_s = settle_s
        self._seen: tuple[bytes, ...] = ()
        self._seen_at = 0.0

    def reconfigure(self, *, debounce_s: float, poll_s: float, settle_s: float) -> None:
        self._debounce_s = debounce_s
        self._poll_s = poll_s
        self._settle_s = settle_s

    async def watch(self) -> AsyncIterator[Reading]:
        last: Mapping[Source, Layer] | None = None
        with _Watch(asyncio.get_running_loop()) as watch:
            while True:
                # First the watches, then the look: a change in between is not missed.
                await asyncio.to_thread(watch.cover, self._concerned())
                try:
                    layers = await asyncio.to_thread(self._read)
                except Misconfigured as exc:
                    if exc.detail != self.health.last_error:
                        self.health.failed(exc, reachable=True)
                else:
                    wait_s = await asyncio.to_thread(self._unsettled_s, layers, last)
                    if wait_s > 0:
                        await watch.event(timeout_s=wait_s)
                        continue
                    if layers != last:
                        self.health.changed()
                        yield Reading("files read" if last is None else "files changed", layers)
                        last = layers
                    else:
                        self.health.ok()
                await watch.event(timeout_s=self._poll_s)
                # A write is many events, and a half-written file is no news yet.
                for _ in range(_MOST_EVENTS):
                    if not await watch.event(timeout_s=self._debounce_s):
                        break

    def _unsettled_s(
        self, layers: Mapping[Source, Layer], last: Mapping[Source, Layer] | None
    ) -> float:
        """How long `layers` has to be left alone before it counts."""
        contents = tuple(map(_content, self._paths))
        now = time.monotonic()
        if contents != self._seen:
            self._seen, self._seen_at = contents, now
        if last is None or layers == last:
            return 0.0
        if _says_less(layers, last) or any(not one.endswith(b"\n") for one in contents if one):
            return self._seen_at + self._settle_s - now
        return 0.0

    def _concerned(self) -> frozenset[Path]:
        return frozenset(path for file in self._paths for path in _concerned(file))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _says_less(layers: Mapping[Source, Layer], last: Mapping[Source, Layer]) -> bool:
    return any(last[source].values.keys() - layers[source].values.keys() for source in last)


def _concerned(path: Path) -> Iterator[Path]:
    """Whatever decides what `path` holds: the file, its folder, and each link on the way."""
    current = path.absolute()
    for _ in range(40):  # as many links as the kernel follows
        here = current.parent.resolve() / current.name
        yield from (current, here, here.parent)
        yield from (part for part in current.parents if part.is_symlink())
        if not here.is_symlink():
            return
        current = here.parent / here.readlink()


class _Watch(FileSystemEventHandler):
    """watchdog's threads on one side, the loop on the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()
        self._observer = Observer()
        self._paths: frozenset[str | bytes] = frozenset()

    def __enter__(self) -> _Watch:
        self._observer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._observer.stop()
        self._observer.join()

    def cover(self, paths: frozenset[Path]) -> None:
        # A folder that was removed and made again has lost its watch, unnoticed: always anew.
        self._observer.unschedule_all()
        self._paths = frozenset(map(str, paths))
        for folder in {_existing(path.parent) for path in paths}:
            try:
                self._observer.schedule(self, str(folder))
            except OSError:
                continue  # gone since it was found; the next look finds what is there

    def on_any_event(self, event: FileSystemEvent) -> None:
        # Reading the files must not look like a change of them.
        if isinstance(event, FileOpenedEvent | FileClosedNoWriteEvent):
            return
        if {event.src_path, event.dest_path} & self._paths:
            self._loop.call_soon_threadsafe(self._event.set)

    async def event(self, *, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        # Before the look that follows. Cleared after it, what changed in between would be missed
        # until the next poll; not cleared after a timeout, for the same reason.
        self._event.clear()
        return True


def _existing(folder: Path) -> Path:
    while not folder.is_dir():
        folder = folder.parent
    return folder
