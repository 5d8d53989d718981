"""Fraud: each order.placed gets the decision it was placed with, or is scored.

The state counts confirmed events only and is therefore the same after a replay;
synchronous questions see provisional transactions as well, so that a burst sees
itself. Provisional ones do not survive a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ecap.actors.stream.pipeline import Record
from ecap.clients.postgres import Connection
from ecap.config.member.follows import Follow
from ecap.config.settings.services.fraud import Fraud
from ecap.config.settings.tree import Settings
from ecap.domain.events.admission import admit_changed, admit_placed
from ecap.domain.events.envelope import Event
from ecap.domain.events.orders import OrderApproved, OrderCancelled, OrderDenied, OrderPlaced
from ecap.domain.fraud.features import Pending, features_of
from ecap.domain.fraud.profile import Profile, Transaction
from ecap.domain.fraud.scoring import ScoreAnswer, ScoreQuestion, Verdict, judge
from ecap.domain.fraud.thresholds import Thresholds
from ecap.domain.values.windows import SECOND, micros
from ecap.pipelines.stream.fraud import sink
from ecap.pipelines.stream.fraud.provisional import Provisionals
from ecap.pipelines.stream.fraud.sink import Decided, Ended, Result
from ecap.pipelines.stream.fraud.state import FraudState
from ecap.pipelines.stream.fraud.thresholds import thresholds


class FraudPipeline:
    name = "fraud"
    topics: tuple[str, ...] = ("transactions",)

    def __init__(self, thresholds: Thresholds, *, provisional_ttl: int) -> None:
        """`provisional_ttl` in microseconds."""
        self._thresholds = thresholds
        self._ttl = provisional_ttl

    def follows(self) -> tuple[Follow[Any], ...]:
        return (Follow("fraud", Fraud, self.reconfigure, check=thresholds),)

    def reconfigure(self, settings: Fraud) -> None:
        """Raises Misconfigured. What was learnt of customers stays as it was learnt."""
        self._thresholds = thresholds(settings)
        self._ttl = _ttl(settings)

    def new_state(self, topic: str, partition: int) -> FraudState:
        return FraudState(Provisionals())

    def dump(self, state: FraudState) -> bytes:
        return state.dump()

    def load(self, topic: str, partition: int, snapshot: bytes) -> FraudState:
        return FraudState.load(snapshot, Provisionals())

    def apply(self, state: FraudState, record: Record) -> Result | None:
        payload = record.event.payload
        if isinstance(payload, OrderPlaced):
            return self._placed(state, record.event, payload)
        if isinstance(payload, OrderApproved | OrderDenied | OrderCancelled):
            admit_changed(payload)
            return Ended(record.event.occurred_at, payload)
        return None

    def _placed(self, state: FraudState, event: Event, order: OrderPlaced) -> Decided | None:
        admit_placed(order)
        key = order.order_id.int
        if state.seen(key):
            return None
        transaction = Transaction(
            micros(event.occurred_at),
            order.amount_minor,
            order.card,
            order.device_id,
            order.latitude,
            order.longitude,
        )
        profile = state.customer(order.user_id.int)
        late = profile.is_late(transaction.at, self._thresholds)
        answer = state.provisional.confirm(key)
        verdict = self._verdict(profile, transaction, order, answer)
        trusted = verdict.decision == "approve"
        profile.learn(transaction, self._thresholds, trusted=trusted)
        state.remember(key, transaction.at)
        return Decided(event, order, verdict, late)

    def _verdict(
        self,
        profile: Profile,
        transaction: Transaction,
        order: OrderPlaced,
        answer: ScoreAnswer | None,
    ) -> Verdict:
        """The decision is the one acted on. An order nobody scored in time keeps it,
        and gets the score and reasons it should have had."""
        if order.scored and order.decision is not None:
            return Verdict(order.decision, order.score, order.reasons)
        if answer is not None:
            found = Verdict(answer.decision, answer.score, answer.reasons)
        else:
            found = judge(features_of(profile, transaction, self._thresholds), self._thresholds)
        if order.decision is None:
            return found
        reasons = dict.fromkeys((*order.reasons, *found.reasons))
        return Verdict(order.decision, found.score, tuple(reasons))

    def answer(self, state: FraudState, question: ScoreQuestion, *, now: datetime) -> ScoreAnswer:
        at = micros(now)
        provisional = state.provisional
        provisional.expire(at - self._ttl)
        key, user = question.transaction_id.int, question.user_id.int
        known = provisional.answer(key)
        if known is not None:
            return known
        transaction = Transaction(
            at,
            question.amount_minor,
            question.card,
            question.device_id,
            question.latitude,
            question.longitude,
        )
        features = features_of(
            state.customers.peek(user) or Profile(),
            transaction,
            self._thresholds,
            pending=provisional.of(user),
        )
        verdict = judge(features, self._thresholds)
        answer = ScoreAnswer(
            question.transaction_id, verdict.decision, verdict.score, verdict.reasons
        )
        if not state.seen(key):
            pending = Pending(transaction, verdict.decision == "approve")
            provisional.add(user, pending, answer, now=at)
        return answer

    async def write(self, conn: Connection, results: Sequence[Result]) -> None:
        await sink.write(conn, results)


def _ttl(settings: Fraud) -> int:
    return int(settings.provisional_ttl_s * SECOND)


def build(settings: Settings) -> FraudPipeline:
    return FraudPipeline(
        thresholds(settings.fraud),
        provisional_ttl=_ttl(settings.fraud),
    )
