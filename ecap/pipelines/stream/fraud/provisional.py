"""Transactions asked about whose event has not come yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

import msgspec

from ecap.domain.fraud.features import Pending
from ecap.domain.fraud.scoring import ScoreAnswer

# Past this many, a customer's oldest no longer count: every limit is long reached,
# and a question has to stay cheap.
_PER_CUSTOMER_MAX = 256


class _Asked(msgspec.Struct, frozen=True):
    answer: ScoreAnswer
    customer: int


class Provisionals:
    """An entry counts until its event confirms it or it expires; its answer is kept
    until it expires. Ids are `UUID.int`, which hashes faster than a UUID."""

    def __init__(self) -> None:
        self._asked: dict[int, _Asked] = {}
        self._counting: dict[int, dict[int, Pending]] = {}
        self._order: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        return len(self._asked)

    def answer(self, transaction: int) -> ScoreAnswer | None:
        asked = self._asked.get(transaction)
        return asked.answer if asked else None

    def of(self, customer: int) -> Collection[Pending]:
        counting = self._counting.get(customer)
        return counting.values() if counting else ()

    def add(self, customer: int, pending: Pending, answer: ScoreAnswer, *, now: int) -> None:
        transaction = answer.transaction_id.int
        self._asked[transaction] = _Asked(answer, customer)
        self._order.append((now, transaction))
        counting = self._counting.setdefault(customer, {})
        counting[transaction] = pending
        if len(counting) > _PER_CUSTOMER_MAX:
            del counting[next(iter(counting))]

    def confirm(self, transaction: int) -> ScoreAnswer | None:
        """Its event has come: from now on the history counts it."""
        asked = self._asked.get(transaction)
        if asked is None:
            return None
        self._uncount(transaction, asked.customer)
        return asked.answer

    def expire(self, since: int) -> None:
        """Those asked about at or before `since`."""
        while self._order and self._order[0][0] <= since:
            _, transaction = self._order.popleft()
            self._uncount(transaction, self._asked.pop(transaction).customer)

    def _uncount(self, transaction: int, customer: int) -> None:
        counting = self._counting.get(customer)
        if counting is None:
            return
        counting.pop(transaction, None)
        if not counting:
            del self._counting[customer]
