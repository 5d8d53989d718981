"""Parquet files of events, partitioned by day, in a folder or an S3 bucket.

    <root>/<topic>/day=2026-03-01/p3-<begin>-<end>.parquet
    <root>/<topic>/_ranges/p3-<begin>-<end>.json      what is complete, and its files

A range counts once its file in `_ranges` is there, which comes last and at once: by
renaming, or as one upload to S3. Engines skip names that begin with an underscore.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import compute, fs

from ecap.errors import Misconfigured

_PAGE_EVENTS = 2_000
# A name that no engine reads.
_UNFINISHED = "_unfinished-"

Page = list[tuple[int, bytes]]


class Range(msgspec.Struct, frozen=True):
    """Positions [begin, end) of a partition; `files` are relative to the topic."""

    partition: int
    begin: int
    end: int
    files: Sequence[str] = ()

    @property
    def name(self) -> str:
        return f"p{self.partition}-{self.begin:020d}-{self.end:020d}"


class Lake:
    def __init__(self, files: fs.FileSystem, root: str) -> None:
        self._files = files
        self._root = root

    def ranges(self, topic: str) -> dict[int, list[Range]]:
        """Of each partition, in order. Raises Misconfigured when they are not seamless."""
        found: dict[int, list[Range]] = {}
        for path in self._listed(f"{topic}/_ranges"):
            with self._files.open_input_stream(path) as stream:
                one = msgspec.json.decode(stream.read(), type=Range)
            before = found.setdefault(one.partition, [])
            if before and before[-1].end != one.begin:
                raise Misconfigured(f"{path} does not begin where {before[-1].name} ends")
            before.append(one)
        return found

    def pages(self, topic: str, partition: int, begin: int, end: int) -> Iterator[Page]:
        """Positions and bodies, in order; a range is in memory at a time."""
        for one in self.ranges(topic).get(partition, ()):
            if one.end <= begin or one.begin >= end:
                continue
            table = pa.concat_tables(self._read(f"{topic}/{name}") for name in one.files)
            pos = table["pos"]
            within = compute.and_(compute.greater_equal(pos, begin), compute.less(pos, end))
            table = table.filter(within).sort_by("pos")
            for at in range(0, table.num_rows, _PAGE_EVENTS):
                page = table.slice(at, _PAGE_EVENTS)
                yield list(zip(page["pos"].to_pylist(), page["body"].to_pylist(), strict=True))

    def write(self, topic: str, one: Range, tables: Mapping[str, pa.Table]) -> None:
        """`tables` by the names in `one.files`; the range is complete when this returns."""
        for name, table in tables.items():
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink, compression="zstd")
            self._put(f"{topic}/{name}", sink.getvalue())
        self._put(f"{topic}/_ranges/{one.name}.json", msgspec.json.encode(one))

    def sweep(self, topic: str) -> int:
        """Remove files of ranges that were never completed. Answers how many."""
        complete = self.ranges(topic).values()
        kept = {f"{topic}/{name}" for ranges in complete for one in ranges for name in one.files}
        kept |= {f"{topic}/_ranges/{one.name}.json" for ranges in complete for one in ranges}
        stray = [
            path
            for path in self._listed(topic, unfinished=True)
            if path.removeprefix(f"{self._root}/") not in kept
        ]
        for path in stray:
            self._files.delete_file(path)
        return len(stray)

    def _read(self, name: str) -> pa.Table:
        # One file by its name: a path with "day=" in it would be read as a column.
        with self._files.open_input_file(f"{self._root}/{name}") as file:
            return pq.ParquetFile(file).read(columns=["pos", "body"])

    def _put(self, name: str, content: bytes | pa.Buffer) -> None:
        """Whole or not at all. S3 shows an object when its upload is complete."""
        path = f"{self._root}/{name}"
        folder, _, last = path.rpartition("/")
        local = isinstance(self._files, fs.LocalFileSystem)
        first = f"{folder}/{_UNFINISHED}{last}" if local else path
        if local:
            self._files.create_dir(folder, recursive=True)
        with self._files.open_output_stream(first) as stream:
            stream.write(content)
        if local:
            self._files.move(first, path)

    def _listed(self, folder: str, *, unfinished: bool = False) -> list[str]:
        chosen = fs.FileSelector(f"{self._root}/{folder}", allow_not_found=True, recursive=True)
        return sorted(
            found.path
            for found in self._files.get_file_info(chosen)
            if found.is_file and (unfinished or not found.base_name.startswith(_UNFINISHED))
        )


def open_lake(address: str) -> Lake:
    """A folder, or `s3://bucket/prefix` with the credentials of the process."""
    try:
        files, root = fs.FileSystem.from_uri(
            address if "://" in address else Path(address).absolute().as_uri()
        )
    except (OSError, ValueError) as exc:
        raise Misconfigured(f"{address}: {exc}") from exc
    return Lake(files, root.rstrip("/"))
