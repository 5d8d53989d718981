"""`python socket_child.py FOLDER`: an actor that can be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecap.actors.wire.listener import listening
from ecap.actors.wire.packets import answered


async def handle(method: str, payload: Any, headers: Mapping[str, str]) -> Any:
    if method == "hang":
        await asyncio.Event().wait()
    return os.getpid()


async def main(folder: Path) -> None:
    async with listening("child", folder, lambda question: answered("child", handle, question)):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
