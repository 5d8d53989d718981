"""What one person does during the run."""

from __future__ import annotations

from random import Random

from ecap.demo.shoppers.people import PLACES, Person, Place
from ecap.demo.shoppers.shelf import Basket, Shelf
from ecap.demo.shoppers.steps import (
    Action,
    Browse,
    Buy,
    Cancel,
    LogIn,
    Search,
    Sending,
    Step,
    View,
    Visit,
)
from ecap.domain.fraud.thresholds import Thresholds
from ecap.domain.fraud.travel import haversine_km

TESTER_ORDERS = 6
_FIRST_ORDER_S = 1.5
_FAR_KM = 3000.0
_LOST_S = (0.001, 0.02)
_SENDING: tuple[tuple[Sending, float], ...] = (("again", 0.06), ("twice", 0.04), ("lost", 0.04))
_CANCELS = 0.05
_RETURNS = 0.3
_SECOND_CARD = 0.1
_USUAL_MINOR = 400_00


class Script:
    """The visit of one person."""

    def __init__(
        self, who: Person, shelf: Shelf, rng: Random, seconds: float, thresholds: Thresholds
    ) -> None:
        self._who = who
        self._shelf = shelf
        self._rng = rng
        self._seconds = seconds
        self._thresholds = thresholds
        self._orders = 0

    def write(self, orders: int) -> Visit:
        match self._who.kind:
            case "honest":
                steps = self._honest(orders)
            case "card_tester":
                steps = self._card_tester()
            case "account_taker":
                steps = self._account_taker()
            case "traveller":
                steps = self._traveller()
        steps.sort(key=lambda step: step.at_s)
        first = steps[0].at_s if steps else self._rng.uniform(0.0, self._seconds)
        return Visit(self._who, max(0.0, first - 0.3), tuple(steps))

    def _times(self, count: int) -> list[float]:
        """Spread evenly over the run, so that all orders together keep the rate."""
        first = min(_FIRST_ORDER_S, self._seconds / 4)
        width = (self._seconds - first) / max(count, 1)
        begin = first + self._rng.uniform(0.0, width) if count else first
        return [begin + width * i * 0.999 for i in range(count)]

    def _honest(self, orders: int) -> list[Step]:
        steps: list[Step] = []
        times = self._times(orders)
        for i, at_s in enumerate(times):
            until_s = times[i + 1] if i + 1 < len(times) else self._seconds
            if i and self._rng.random() < _RETURNS:
                steps.append(Step(max(at_s - 1.6, times[i - 1]), LogIn()))
            steps += self._looking(at_s)
            order = self._order(self._shelf.usual(self._rng, below_minor=self._spend()))
            steps.append(Step(at_s, order))
            if self._rng.random() < _CANCELS:
                steps.append(Step(min(at_s + self._rng.uniform(0.5, 4.0), until_s), Cancel(i)))
        if not orders:
            steps += self._looking(self._rng.uniform(0.5, self._seconds))
        return steps

    def _spend(self) -> int:
        """Most baskets are modest; some are not, and may well be looked at."""
        usual = min(_USUAL_MINOR, self._thresholds.amount_review_minor)
        return usual * 8 if self._rng.random() < 0.01 else usual

    def _looking(self, until_s: float) -> list[Step]:
        """Up to three looks in the second and a half before."""
        steps = []
        for at_s in sorted(self._rng.uniform(max(0.0, until_s - 1.5), until_s) for _ in range(3)):
            action: Action
            match self._rng.randrange(4):
                case 0:
                    action = Browse(self._rng.choice(self._shelf.categories))
                case 1:
                    action = Search(self._shelf.words(self._rng))
                case 2:
                    action = View(self._shelf.any(self._rng))
                case _:
                    continue
            steps.append(Step(at_s, action))
        return steps

    def _order(self, basket: Basket, *, place: Place | None = None) -> Buy:
        sending, patience_s = self._sending()
        card = self._who.card
        if self._orders and self._rng.random() < _SECOND_CARD:
            card += "_b"
        return self._next(
            basket, card, self._who.device, place or self._who.home, sending, patience_s
        )

    def _sending(self) -> tuple[Sending, float]:
        drawn, patience_s = self._rng.random(), self._rng.uniform(*_LOST_S)
        for sending, share in _SENDING:
            if drawn < share:
                return sending, patience_s if sending == "lost" else 0.0
            drawn -= share
        return "once", 0.0

    def _next(
        self,
        basket: Basket,
        card: str,
        device: str,
        place: Place,
        sending: Sending = "once",
        patience_s: float = 0.0,
        *,
        planted: bool = False,
    ) -> Buy:
        self._orders += 1
        return Buy(
            self._orders - 1, basket, card, device, place, sending, patience_s, planted=planted
        )

    def _moment(self, before_end_s: float) -> float:
        """When it begins, so that all of it fits into the run where possible."""
        first = min(_FIRST_ORDER_S, self._seconds / 4)
        return self._rng.uniform(first, max(first, self._seconds - before_end_s))

    def _card_tester(self) -> list[Step]:
        """Tries stolen cards with small amounts, one quickly after the other."""
        width_s = min(1.2, self._seconds / (2 * TESTER_ORDERS))
        begin_s = self._moment(width_s * TESTER_ORDERS)
        below = self._thresholds.card_small_minor
        return [
            Step(
                begin_s + i * width_s,
                self._next(
                    self._shelf.small(self._rng, below_minor=below),
                    f"{self._who.card}_stolen_{i}",
                    self._who.device,
                    self._who.home,
                    planted=True,
                ),
            )
            for i in range(TESTER_ORDERS)
        ]

    def _account_taker(self) -> list[Step]:
        """The owner orders; then somebody logs in with another device and another card."""
        apart_s = min(6.0, self._seconds / 3)
        begin_s = self._moment(apart_s)
        own = self._order(self._shelf.usual(self._rng, below_minor=_USUAL_MINOR))
        # Well above the limit of the rule and well below what is too high for anybody.
        least = min(
            self._thresholds.takeover_minor * 2, self._thresholds.amount_review_minor * 3 // 4
        )
        theirs = self._next(
            self._shelf.worth(self._rng, least_minor=least, most_quantity=20),
            f"{self._who.card}_stolen",
            f"{self._who.device}-thief",
            self._who.home,
            planted=True,
        )
        return [
            *self._looking(begin_s),
            Step(begin_s, own),
            Step(begin_s + apart_s * 0.9, LogIn()),
            Step(begin_s + apart_s, theirs),
        ]

    def _traveller(self) -> list[Step]:
        """Two orders, seconds and thousands of kilometres apart."""
        apart_s = min(8.0, self._seconds / 3)
        begin_s = self._moment(apart_s)
        home = self._who.home
        far = [place for place in PLACES if _km(home, place) > _FAR_KM]
        here = self._order(self._shelf.usual(self._rng, below_minor=_USUAL_MINOR))
        there = self._next(
            self._shelf.usual(self._rng, below_minor=_USUAL_MINOR),
            here.card,
            here.device,
            self._rng.choice(far),
            planted=True,
        )
        return [Step(begin_s, here), Step(begin_s + apart_s, there)]


def _km(one: Place, other: Place) -> float:
    return haversine_km(one.latitude, one.longitude, other.latitude, other.longitude)
