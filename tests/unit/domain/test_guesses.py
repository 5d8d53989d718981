"""What the brake on guessing promises, by a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ecap.domain.accounts.guesses import Brake, Tallies, Tally, nothing

START = datetime(2026, 1, 1, tzinfo=UTC)
BRAKE = Brake(free=5, longest_s=300.0)


@dataclass
class Shop:
    """Its accounts, addresses and the tallies of both."""

    kept: dict[tuple[str, ...], Tally] = field(default_factory=dict)
    told: int = 0

    def tallies(self, account: str, address: str, now: datetime) -> Tallies:
        keys = ((account, ""), ("", address), (account, address))
        return Tallies(*(self.kept.get(key, nothing(now)) for key in keys))

    def keep(self, account: str, address: str, found: Tallies) -> None:
        self.kept[(account, "")] = found.account
        self.kept[("", address)] = found.address
        self.kept[(account, address)] = found.pair

    def try_(self, account: str, address: str, now: datetime, *, right: bool = False) -> float:
        """How long it has to wait; 0: the password was compared."""
        ruling = BRAKE.tried(self.tallies(account, address, now), now)
        self.keep(account, address, ruling.tallies)
        self.told += ruling.tell
        if right and not ruling.wait_s:
            found = self.tallies(account, address, now)
            self.keep(account, address, BRAKE.right(found, now))
        return ruling.wait_s

    def guess(self, account: str, address: str, *, seconds: int, begin: datetime) -> int:
        """As fast as he may."""
        compared, now = 0, begin
        while now < begin + timedelta(seconds=seconds):
            wait_s = self.try_(account, address, now)
            compared += not wait_s
            now += timedelta(seconds=max(wait_s, 0.05))
        return compared


def test_a_guesser_is_slowed() -> None:
    shop = Shop()
    day = 86400
    assert shop.guess("ann", "bad", seconds=day, begin=START) < 350


def test_the_owner_is_let_in_after_one_wait_from_an_address_that_is_new() -> None:
    shop = Shop()
    for bad in range(300):
        shop.guess("ann", f"bad-{bad}", seconds=10, begin=START)
    now = START + timedelta(seconds=11)
    wait_s = shop.try_("ann", "new", now, right=True)
    assert 0 < wait_s <= 5
    assert shop.try_("ann", "new", now + timedelta(seconds=wait_s), right=True) == 0
    # From then on it is known.
    assert shop.try_("ann", "new", now + timedelta(seconds=6), right=True) == 0


def test_where_the_owner_was_before_nothing_is_noticed() -> None:
    shop = Shop()
    assert shop.try_("ann", "home", START, right=True) == 0
    for bad in range(100):
        shop.guess("ann", f"bad-{bad}", seconds=10, begin=START)
    # A neighbour guesses at others.
    for other in range(100):
        shop.try_(f"other-{other}", "home", START)
    assert shop.try_("ann", "home", START + timedelta(seconds=11), right=True) == 0


def test_an_address_that_tries_one_password_everywhere_is_slowed() -> None:
    shop = Shop()
    compared, now = 0, START
    for account in range(2000):
        wait_s = shop.try_(f"account-{account}", "bad", now)
        compared += not wait_s
        now += timedelta(seconds=0.05)
    assert compared < 60


def test_an_account_of_ones_own_gives_no_new_tries_elsewhere() -> None:
    shop = Shop()
    compared, now = 0, START
    for account in range(2000):
        shop.try_("mine", "bad", now, right=True)
        compared += not shop.try_(f"account-{account}", "bad", now)
        now += timedelta(seconds=0.05)
    assert compared < 60


def test_what_was_not_compared_is_no_try() -> None:
    shop = Shop()
    for _ in range(100):
        assert shop.try_("ann", "home", START) == 0
        found = shop.tallies("ann", "home", START)
        shop.keep("ann", "home", BRAKE.withdrawn(found, START))
    assert shop.told == 0


def test_the_owner_is_told_once_a_day() -> None:
    shop = Shop()
    for hour in range(30):
        for bad in range(30):
            at = START + timedelta(hours=hour)
            shop.guess("ann", f"bad-{bad}", seconds=1, begin=at)
    assert shop.told == 2


@given(st.lists(st.tuples(st.integers(0, 900), st.booleans()), max_size=60))
def test_no_wait_is_longer_than_the_bound_and_all_is_forgotten(
    tries: list[tuple[int, bool]],
) -> None:
    shop, now = Shop(), START
    for pause_s, right in tries:
        now += timedelta(seconds=pause_s)
        assert shop.try_("ann", "here", now, right=right) <= BRAKE.longest_s
    for tally in shop.kept.values():
        assert tally.failures_at(tally.forget_at()) < 1e-6
        assert tally.next_at <= tally.forget_at()
    assert shop.try_("ann", "here", now + timedelta(days=91)) == 0
