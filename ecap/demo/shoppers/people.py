"""Who comes to the shop, and where they live."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

Kind = Literal["honest", "card_tester", "account_taker", "traveller"]
FRAUDS: tuple[Kind, ...] = ("card_tester", "account_taker", "traveller")


@dataclass(frozen=True)
class Place:
    city: str
    country: str
    latitude: float
    longitude: float


PLACES = (
    Place("Berlin", "DE", 52.52, 13.40),
    Place("Madrid", "ES", 40.42, -3.70),
    Place("Oslo", "NO", 59.91, 10.75),
    Place("London", "GB", 51.51, -0.13),
    Place("New York", "US", 40.71, -74.01),
    Place("Chicago", "US", 41.88, -87.63),
    Place("São Paulo", "BR", -23.55, -46.63),
    Place("Cape Town", "ZA", -33.92, 18.42),
    Place("Mumbai", "IN", 19.08, 72.88),
    Place("Tokyo", "JP", 35.68, 139.69),
    Place("Sydney", "AU", -33.87, 151.21),
    Place("Wellington", "NZ", -41.29, 174.78),
)
_FIRST = (
    *("Ada", "Amir", "Bea", "Chen", "Dara", "Elif", "Emil", "Femi", "Greta", "Hana", "Ines"),
    *("Ivo", "Jun", "Kofi", "Lena", "Luca", "Mara", "Milan", "Nadia", "Noor", "Olga", "Pia"),
    *("Ravi", "Rosa", "Sami", "Tara", "Theo", "Uma", "Vera", "Wim", "Yara", "Zoe"),
)
_LAST = (
    *("Adams", "Berg", "Costa", "Diaz", "Evans", "Fischer", "Garcia", "Haddad", "Ito", "Jansen"),
    *("Kaya", "Lindt", "Moreau", "Novak", "Okoye", "Park", "Quinn", "Rossi", "Silva", "Tanaka"),
    *("Ueda", "Varga", "Weber", "Xu", "Yilmaz", "Zhang"),
)


@dataclass(frozen=True)
class Person:
    """`run` keeps people apart who are drawn from the same seed in another run."""

    number: int
    run: str
    kind: Kind
    name: str
    home: Place

    @property
    def email(self) -> str:
        return f"{self.name.replace(' ', '.').lower()}.{self.run}.{self.number}@shopper.example"

    @property
    def device(self) -> str:
        return f"device-{self.run}-{self.number}"

    @property
    def card(self) -> str:
        return f"card_{self.run}_{self.number}"


def person(number: int, kind: Kind, rng: Random, *, run: str) -> Person:
    return Person(
        number,
        run,
        kind,
        f"{rng.choice(_FIRST)} {rng.choice(_LAST)}",
        rng.choice(PLACES),
    )


_SHARES: dict[Kind, float] = {"card_tester": 0.03, "account_taker": 0.03, "traveller": 0.02}


def cast(people: int) -> list[Kind]:
    """Who is what, by number; few people are all honest."""
    kinds: list[Kind] = []
    if people >= 2 * len(FRAUDS):
        for kind in FRAUDS:
            kinds.extend([kind] * max(1, round(people * _SHARES[kind])))
    kinds.extend(["honest"] * (people - len(kinds)))
    return kinds
