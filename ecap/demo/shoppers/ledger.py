"""What the shoppers were told: the side every other book is compared with."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from ecap.demo.shoppers.people import FRAUDS, Person
from ecap.domain.events.orders import Decision


@dataclass(frozen=True)
class Accepted:
    """One order as it was answered with 201. `by_category` are the units and the amount of
    its lines."""

    id: UUID
    amount_minor: int
    decision: Decision
    by_category: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Placed:
    answer: Accepted
    person: Person
    planted: bool
    at: float


@dataclass
class Ledger:
    users: dict[UUID, Person] = field(default_factory=dict)
    placed: dict[UUID, Placed] = field(default_factory=dict)
    cancelled: set[UUID] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    waited: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    contradictions: list[str] = field(default_factory=list)
    """A key that was answered in two ways."""
    sent: int = 0
    """Orders begun, whatever became of them."""
    unsettled: set[UUID] = field(default_factory=set)
    """Orders whose answer never came; they may exist."""
    _by_key: dict[str, UUID] = field(default_factory=dict)
    _recent: deque[float] = field(default_factory=deque)

    def accept(
        self, key: str, answer: Accepted, *, person: Person, planted: bool, now: float
    ) -> None:
        """Counted once per key, however often it is answered."""
        known = self._by_key.setdefault(key, answer.id)
        if known != answer.id:
            self.contradictions.append(f"key {key} placed both {known} and {answer.id}")
        before = self.placed.get(answer.id)
        if before is None:
            self.placed[answer.id] = Placed(answer, person, planted, now)
            self._recent.append(now)
            return
        self.repeats += 1
        if before.answer != answer:
            self.contradictions.append(f"order {answer.id} was answered differently when repeated")

    @property
    def amounts(self) -> dict[UUID, int]:
        return {id_: placed.answer.amount_minor for id_, placed in self.placed.items()}

    @property
    def by_category(self) -> dict[str, tuple[int, int]]:
        total: dict[str, tuple[int, int]] = {}
        for placed in self.placed.values():
            for category, (units, amount) in placed.answer.by_category.items():
                before = total.get(category, (0, 0))
                total[category] = (before[0] + units, before[1] + amount)
        return total

    @property
    def decisions(self) -> Counter[Decision]:
        return Counter(placed.answer.decision for placed in self.placed.values())

    def per_second(self, now: float, *, over_s: float = 5.0) -> float:
        while self._recent and self._recent[0] <= now - over_s:
            self._recent.popleft()
        return len(self._recent) / over_s


@dataclass(frozen=True)
class Caught:
    """`people` who placed such orders, and how many of them the rules stopped or sent to
    review at least once; the same of the orders."""

    people: int
    people_caught: int
    orders: int
    orders_caught: int


def caught(ledger: Ledger, *, unscored: Container[UUID] = ()) -> dict[str, Caught]:
    """What was planted. A review because nobody scored is no catch."""
    return {
        kind: _count(
            [p for p in ledger.placed.values() if p.planted and p.person.kind == kind], unscored
        )
        for kind in FRAUDS
    }


def troubled(ledger: Ledger, *, unscored: Container[UUID] = ()) -> Caught:
    """Honest people, and owners before their account was taken: `caught` means wrongly."""
    return _count([p for p in ledger.placed.values() if not p.planted], unscored)


def _count(orders: list[Placed], unscored: Container[UUID]) -> Caught:
    stopped = [p for p in orders if p.answer.decision != "approve" and p.answer.id not in unscored]
    return Caught(
        len({p.person.number for p in orders}),
        len({p.person.number for p in stopped}),
        len(orders),
        len(stopped),
    )
