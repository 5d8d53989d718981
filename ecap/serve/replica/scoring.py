"""The question about a transaction, asked of the fraud shard that owns the customer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ecap.actors.stream.questions import ShardClient
from ecap.domain.fraud.scoring import ScoreAnswer, ScoreQuestion
from ecap.errors import Unavailable
from ecap.serve.replica.process import Process


class Decider(Protocol):
    async def decide(self, question: ScoreQuestion) -> ScoreAnswer:
        """Raises Retryable when no shard answers in time."""
        ...


class NoShard:
    """Of a replica that runs by itself."""

    async def decide(self, question: ScoreQuestion) -> ScoreAnswer:
        raise Unavailable("no fraud shard is within reach")


class FraudShard:
    """`timeout_s` answers what is allowed now."""

    def __init__(self, shards: ShardClient, *, timeout_s: Callable[[], float]) -> None:
        self._shards = shards
        self._timeout_s = timeout_s

    async def decide(self, question: ScoreQuestion) -> ScoreAnswer:
        answer: ScoreAnswer = await self._shards.ask(
            "fraud",
            str(question.user_id),
            question,
            topic="transactions",
            timeout_s=self._timeout_s(),
        )
        return answer


def fraud_shard(process: Process) -> Decider:
    if process.actors is None:
        return NoShard()
    shards = process.actors.shards(process.pool, clients=process.clients)
    return FraudShard(shards, timeout_s=lambda: process.settings.orders.decision_timeout_s)
