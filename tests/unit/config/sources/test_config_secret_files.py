"""A secret in a file is read again when the file changes, and reaches every member."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr
from unit.config.hub.cluster import Cluster, layer

from ecap.config.secrets.folders import SecretFiles
from ecap.config.secrets.readers import SecretReaders
from ecap.config.sources.secret_files import SecretFileSource
from ecap.config.sources.source import SourceHealth, feed

SETTLE_S = 0.1


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        for _ in range(10_000):
            if done():
                return
            await asyncio.sleep(0.02)


async def test_a_rotated_file_reaches_the_members(tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_text("one\n")
    health = SourceHealth("secret files", wall=lambda: 1.0)
    source = SecretFileSource(
        SecretFiles((tmp_path,)), poll_s=0.02, settle_s=SETTLE_S, health=health
    )
    cluster = Cluster()
    cluster.secrets = SecretReaders({"file": source.read})  # type: ignore[assignment]
    cluster.given = {"base": layer("base", smtp__password=f"file:{file}")}
    hub = await cluster.start_hub()
    member = cluster.add("a")
    fed = asyncio.create_task(feed(hub, [source]))

    async def runs(text: str) -> None:
        await until(lambda: member.settings.smtp.password == SecretStr(text))

    try:
        await runs("one")
        file.write_text("")  # half of a write
        await asyncio.sleep(SETTLE_S * 3)
        await runs("one")
        file.write_text("two\n")
        await runs("two")
        part = tmp_path / "part"
        part.write_text("three\r\n")
        part.replace(file)
        await runs("three")
        file.unlink()
        await until(lambda: "No such file" in (source.health.refused or ""))
        await runs("three")
        file.write_text("four")
        await runs("four")
        # What nobody refers to any more is nobody's trouble.
        await hub.offer({"base": layer("base")}, reason="no password")
        file.unlink()
        await asyncio.sleep(SETTLE_S * 5)
        assert source.health.refused is None
        assert "four" not in repr(await cluster.entries())
    finally:
        fed.cancel()
        await cluster.stop()
