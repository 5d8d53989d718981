"""Every way a file changes is noticed, and a bad file changes nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from ecap.config.sources import startup
from ecap.config.sources.files import FileSource
from ecap.config.sources.source import Reading, SourceHealth

WITHIN_S = 20.0
SETTLE_S = 0.5


def source(folder: Path) -> FileSource:
    environ = {"ECAP_CONFIG_DIR": str(folder)}
    return FileSource(
        (folder / "base.yaml", folder / "development.yaml"),
        lambda: startup.files(environ),
        debounce_s=0.02,
        poll_s=3600.0,  # so that only events can bring news
        settle_s=SETTLE_S,
        health=SourceHealth("files", wall=lambda: 1.0),
    )


class Follower:
    def __init__(self, found: FileSource, readings: AsyncIterator[Reading]) -> None:
        self.source = found
        self._readings = readings

    async def next(self) -> dict[str, Any]:
        reading = await asyncio.wait_for(anext(self._readings), WITHIN_S)
        return {
            key: given.value
            for layer in reading.layers.values()
            for key, given in layer.values.items()
            if key != "environment"
        }

    async def until(self, done: Callable[[], bool]) -> None:
        """While the source looks; it must have nothing to tell."""
        waiting = asyncio.ensure_future(anext(self._readings))
        async with asyncio.timeout(WITHIN_S):
            while not done():
                await asyncio.wait({waiting}, timeout=0.01)
                assert not waiting.done(), waiting.result()
        self._readings = _resumed(waiting, self._readings)


async def _resumed(
    first: asyncio.Future[Reading], rest: AsyncIterator[Reading]
) -> AsyncIterator[Reading]:
    yield await first
    async for reading in rest:
        yield reading


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "configs"
    found.mkdir()
    (found / "base.yaml").write_text("orders: {max_lines: 1}\n")
    (found / "development.yaml").write_text("")
    return found


@pytest.fixture
async def follower(folder: Path) -> AsyncIterator[Follower]:
    found = source(folder)
    async with aclosing(found.watch()) as readings:  # type: ignore[type-var]
        yielded = Follower(found, readings)
        assert await yielded.next() == {"orders.max_lines": 1}
        yield yielded


async def test_a_write_in_place(folder: Path, follower: Follower) -> None:
    for lines in (2, 3):
        (folder / "base.yaml").write_text(f"orders: {{max_lines: {lines}}}\n")
        assert await follower.next() == {"orders.max_lines": lines}


async def test_what_is_equal_in_python_is_another_file(folder: Path, follower: Follower) -> None:
    for written, value in (("true", True), ("1", 1), ("1.0", 1.0)):
        (folder / "base.yaml").write_text(f"flags: {{x: {written}}}\n")
        found = (await follower.next())["flags.x"]
        assert (type(found), found) == (type(value), value)


async def test_an_atomic_rename(folder: Path, follower: Follower) -> None:
    for lines in (2, 3):
        (folder / "base.yaml.part").write_text(f"orders: {{max_lines: {lines}}}\n")
        (folder / "base.yaml.part").replace(folder / "base.yaml")
        assert await follower.next() == {"orders.max_lines": lines}


async def test_half_a_file_and_a_bad_one_keep_the_last_good(
    folder: Path, follower: Follower
) -> None:
    health = follower.source.health
    (folder / "base.yaml").write_text("orders: {max_lines: 2")
    await follower.until(lambda: "line 1" in (health.last_error or ""))
    (folder / "base.yaml").write_bytes(b"\xff\xfe")
    await follower.until(lambda: "UTF-8" in (health.last_error or ""))
    (folder / "base.yaml").unlink()
    await follower.until(lambda: "No such file" in (health.last_error or ""))
    assert health.reachable
    (folder / "base.yaml").write_text("orders: {max_lines: 3}\n")
    assert await follower.next() == {"orders.max_lines": 3}
    assert health.last_error is None


@pytest.mark.parametrize(
    "half",
    [
        "",
        "\n",
        "# more to come\n",
        "orders: {max_quantity: 5}\n",
        "orders: {max_lines: 1",
        "orders:\n  max_lines: 2",
    ],
)
async def test_what_may_be_half_a_file_waits_for_the_rest(
    folder: Path, follower: Follower, half: str
) -> None:
    """The defaults counted for a moment in every process."""
    (folder / "base.yaml").write_text(half)
    await asyncio.sleep(SETTLE_S / 2)
    (folder / "base.yaml").write_text("orders:\n  max_lines: 23\n  max_quantity: 5\n")
    assert await follower.next() == {"orders.max_lines": 23, "orders.max_quantity": 5}


async def test_a_file_that_is_left_empty_is_meant_to_be(folder: Path, follower: Follower) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    (folder / "base.yaml").write_text("")
    assert await follower.next() == {}
    assert loop.time() - began >= SETTLE_S


def move(folder: Path, name: str) -> None:
    folder.rename(folder.with_name(name))


def make(folder: Path) -> None:
    folder.mkdir()


async def test_a_folder_that_is_made_again(folder: Path, follower: Follower) -> None:
    move(folder, "aside")
    await follower.until(lambda: follower.source.health.last_error is not None)
    make(folder)
    (folder / "development.yaml").write_text("")
    (folder / "base.yaml").write_text("orders: {max_lines: 4}\n")
    assert await follower.next() == {"orders.max_lines": 4}
    (folder / "base.yaml").write_text("orders: {max_lines: 5}\n")
    assert await follower.next() == {"orders.max_lines": 5}


def mount(volume: Path, number: int) -> None:
    """As the kubelet does: a new folder, then `..data` renamed over the old link."""
    data = volume / f"..2026_{number}"
    data.mkdir(parents=True)
    (data / "base.yaml").write_text(f"orders: {{max_lines: {number}}}\n")
    (data / "development.yaml").write_text("")
    (volume / "..data_tmp").symlink_to(data.name)
    os.replace(volume / "..data_tmp", volume / "..data")
    for name in ("base.yaml", "development.yaml"):
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(f"..data/{name}")


def point(link: Path, target: str) -> None:
    part = link.with_name("next")
    part.symlink_to(target)
    part.replace(link)


async def test_the_symlink_swap_of_a_mounted_config_map(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    mount(volume, 1)
    found = source(volume)
    async with aclosing(found.watch()) as readings:  # type: ignore[type-var]
        follower = Follower(found, readings)
        assert await follower.next() == {"orders.max_lines": 1}
        for number in (2, 3):
            mount(volume, number)
            assert await follower.next() == {"orders.max_lines": number}


async def test_a_folder_that_is_a_link_to_the_current_release(tmp_path: Path) -> None:
    for number in (1, 2):
        mount(tmp_path / f"release-{number}", number)
    link = tmp_path / "current"
    point(link, "release-1")
    found = source(link)
    async with aclosing(found.watch()) as readings:  # type: ignore[type-var]
        follower = Follower(found, readings)
        assert await follower.next() == {"orders.max_lines": 1}
        point(link, "release-2")
        assert await follower.next() == {"orders.max_lines": 2}
        mount(tmp_path / "release-2", 3)
        assert await follower.next() == {"orders.max_lines": 3}
