"""`stream_child.py relay` or `stream_child.py shard NAME`, until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from integration.actors.counting import Counting

from ecap import logs
from ecap.actors.relay.relay import OutboxRelay
from ecap.actors.stream.shard import Shard
from ecap.config import load


async def main() -> None:
    if sys.argv[1] == "relay":
        actor: OutboxRelay | Shard = OutboxRelay(load())
    else:
        actor = Shard(load(), [Counting(sys.argv[2])], member=sys.argv[2])
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await actor.start()
    await ended.wait()
    await actor.stop()


logs.setup(service=" ".join(sys.argv[1:]), level=os.environ.get("TEST_LOG_LEVEL", "ERROR"))
asyncio.run(main())
