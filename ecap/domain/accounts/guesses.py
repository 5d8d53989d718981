"""How wrong passwords slow the next try down, and nobody is locked out.

Wrong ones are counted for an account, for an address, and for the address at the account; each
is forgotten with time.

- An address at an account has some tries for nothing, more where its log in was right before,
  and then waits, each time twice as long up to a bound.
- An address that is wrong at many accounts waits, too, except at those where it was right before.
- An account that is tried from everywhere makes each address that it does not know wait before
  its first try as well. Nobody waits for anybody else: whoever comes from a new address is let
  in after one wait, however many others guess.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_FORGET_S = 600.0
"""After this one wrong try is forgotten."""
_KNOWN = timedelta(days=90)
_TELL_AGAIN = timedelta(days=1)
# As often as a person forgets his own password, several persons behind one address do.
_FREE_ADDRESS = 10
_FREE_KNOWN = 4
_ATTACKED = 4
_ADDRESS_PAUSE_MOST_S = 60.0
_UNKNOWN_PAUSE_S = 5.0
# More are not remembered, so that they are forgotten in a night.
_DOUBLINGS = 20


@dataclass(frozen=True)
class Tally:
    failures: float
    at: datetime
    next_at: datetime
    right_at: datetime | None = None
    told_at: datetime | None = None

    def failures_at(self, now: datetime) -> float:
        return max(0.0, self.failures - (now - self.at).total_seconds() / _FORGET_S)

    def forget_at(self) -> datetime:
        clean = max(self.next_at, self.at + timedelta(seconds=self.failures * _FORGET_S))
        known = clean if self.right_at is None else max(clean, self.right_at + _KNOWN)
        return known if self.told_at is None else max(known, self.told_at + _TELL_AGAIN)


def nothing(now: datetime) -> Tally:
    return Tally(0.0, now, now)


@dataclass(frozen=True)
class Tallies:
    account: Tally
    address: Tally
    pair: Tally
    """Of the address at the account."""


@dataclass(frozen=True)
class Ruling:
    tallies: Tallies
    """As they are to be kept."""
    wait_s: float = 0.0
    """Above 0: the try is refused."""
    tell: bool = False
    """Whether the owner is to be told now."""


@dataclass(frozen=True)
class Brake:
    """`free` tries cost nothing; no wait is longer than `longest_s`."""

    free: int
    longest_s: float

    def tried(self, found: Tallies, now: datetime) -> Ruling:
        """The try counts as wrong until it was right, so that tries at once count, too."""
        known = found.pair.right_at is not None and now < found.pair.right_at + _KNOWN
        attacked = found.account.failures_at(now) >= _ATTACKED * self.free
        if attacked and not known and found.pair.failures_at(now) == 0:
            return self._announced(found, now)
        gates = [found.pair.next_at, *([] if known else [found.address.next_at])]
        wait_s = (max(gates) - now).total_seconds()
        if wait_s > 0:
            return Ruling(found, wait_s)
        free = self.free * _FREE_KNOWN if known else 0 if attacked else self.free
        account = _one_more(found.account, now, free=_ATTACKED * self.free, longest_s=0.0)
        tell = account.failures >= _ATTACKED * self.free and (
            found.account.told_at is None or now >= found.account.told_at + _TELL_AGAIN
        )
        return Ruling(
            Tallies(
                replace(account, told_at=now) if tell else account,
                _one_more(
                    found.address,
                    now,
                    free=self.free * _FREE_ADDRESS,
                    longest_s=min(self.longest_s, _ADDRESS_PAUSE_MOST_S),
                ),
                _one_more(found.pair, now, free=free, longest_s=self.longest_s),
            ),
            tell=tell,
        )

    def right(self, found: Tallies, now: datetime) -> Tallies:
        """The address keeps what it did elsewhere, or one account of his own would give a
        guesser new tries; so does the account."""
        return Tallies(
            _one_less(found.account, now, free=_ATTACKED * self.free),
            _one_less(found.address, now, free=self.free * _FREE_ADDRESS),
            replace(nothing(now), right_at=now),
        )

    def withdrawn(self, found: Tallies, now: datetime) -> Tallies:
        """Nothing was compared: it was no try."""
        return Tallies(
            _one_less(found.account, now, free=_ATTACKED * self.free),
            _one_less(found.address, now, free=self.free * _FREE_ADDRESS),
            replace(_one_less(found.pair, now, free=0), next_at=now),
        )

    def _announced(self, found: Tallies, now: datetime) -> Ruling:
        wait_s = min(self.longest_s, _UNKNOWN_PAUSE_S)
        # Counts as one, and so it is remembered that the wait was named.
        pair = Tally(1.0, now, now + timedelta(seconds=wait_s))
        return Ruling(replace(found, pair=pair), wait_s)


def _one_more(tally: Tally, now: datetime, *, free: int, longest_s: float) -> Tally:
    failures = min(tally.failures_at(now) + 1, free + _DOUBLINGS)
    over = failures - free
    pause_s = min(longest_s, 2.0 ** (over - 1)) if over > 0 else 0.0
    return replace(tally, failures=failures, at=now, next_at=now + timedelta(seconds=pause_s))


def _one_less(tally: Tally, now: datetime, *, free: int) -> Tally:
    failures = max(0.0, tally.failures_at(now) - 1)
    next_at = tally.next_at if failures > free else now
    return replace(tally, failures=failures, at=now, next_at=next_at)
