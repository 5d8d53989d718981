"""What a fraud replica holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ecap.domain.commerce.orders import card_fingerprint
from ecap.domain.fraud.scoring import ScoreQuestion
from ecap.domain.values.money import to_minor
from ecap.serve.fraud.models import Scored, Transaction
from ecap.serve.fraud.store import Decisions
from ecap.serve.replica.process import Process
from ecap.serve.replica.scoring import Decider, fraud_shard


@dataclass(frozen=True)
class Desk:
    store: Decisions
    decider: Decider

    async def score(self, transaction: Transaction) -> Scored:
        """Raises Retryable when no shard answers in time: whoever asks has to decide
        what that means."""
        found = await self.decider.decide(_question(transaction))
        return Scored(
            transaction_id=found.transaction_id,
            decision=found.decision,
            score=found.score,
            reasons=found.reasons,
        )


def _question(transaction: Transaction) -> ScoreQuestion:
    return ScoreQuestion(
        transaction_id=transaction.transaction_id,
        user_id=transaction.user_id,
        amount_minor=to_minor(transaction.amount),
        currency=transaction.currency,
        card=card_fingerprint(transaction.card_token),
        device_id=transaction.device_id,
        latitude=transaction.latitude,
        longitude=transaction.longitude,
    )


@asynccontextmanager
async def opened(process: Process, *, decider: Decider | None = None) -> AsyncIterator[Desk]:
    yield Desk(Decisions(process.pool), decider or fraud_shard(process))
