"""What a shopper does, one thing after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecap.demo.shoppers.people import Person, Place
from ecap.demo.shoppers.shelf import Basket, Goods

# How an order is sent: once; again after the answer; twice at once; again because
# the first answer was lost.
Sending = Literal["once", "again", "twice", "lost"]


@dataclass(frozen=True)
class Browse:
    category: str


@dataclass(frozen=True)
class Search:
    words: str


@dataclass(frozen=True)
class View:
    goods: Goods


@dataclass(frozen=True)
class LogIn:
    pass


@dataclass(frozen=True)
class Buy:
    """`number` counts the orders of this person. `planted`: a fraud, to be caught."""

    number: int
    basket: Basket
    card: str
    device: str
    place: Place
    sending: Sending = "once"
    patience_s: float = 0.0
    """For "lost": how long the first answer is waited for."""
    planted: bool = False


@dataclass(frozen=True)
class Cancel:
    number: int


Action = Browse | Search | View | LogIn | Buy | Cancel


@dataclass(frozen=True)
class Step:
    """`at_s` since the start of the run, as planned; who is late keeps the distances."""

    at_s: float
    action: Action


@dataclass(frozen=True)
class Visit:
    """Registers on arrival."""

    person: Person
    arrives_s: float
    steps: tuple[Step, ...]

    @property
    def orders(self) -> tuple[Buy, ...]:
        return tuple(step.action for step in self.steps if isinstance(step.action, Buy))
