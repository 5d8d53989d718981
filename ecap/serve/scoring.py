"""The question about a transaction, asked of the fraud shard that owns the customer."""

from __future__ import annotations

from typing import Protocol

from ecap.domain.scoring import ScoreAnswer, ScoreQuestion
from ecap.errors import Unavailable
from ecap.serve.process import Process


class Decider(Protocol):
    async def decide(self, question: ScoreQuestion) -> ScoreAnswer:
        """Raises Retryable when no shard answers in time."""
        ...


class NoShard:
    """Of a replica that runs by itself."""

    async def decide(self, question: ScoreQuestion) -> ScoreAnswer:
        raise Unavailable("no fraud shard is within reach")


def fraud_shard(process: Process) -> Decider:
    return NoShard()
