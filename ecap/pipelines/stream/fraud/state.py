"""The state of one partition: its customers, and the transactions it has just seen."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ecap.domain.fraud.profile import Profile
from ecap.domain.values.windows import SECOND, Generations, Watermark
from ecap.pipelines.stream.fraud.provisional import Provisionals

# A customer is forgotten after one to two of these without a transaction.
_TURN = 90 * 86400 * SECOND
# Transaction ids are remembered for one to two times this many transactions.
_RECENT = 8192
_VERSION = 1


class FraudState:
    """A pure function of the events applied, except for `provisional`."""

    __slots__ = ("customers", "provisional", "recent", "turns_at", "watermark")

    def __init__(self, provisional: Provisionals) -> None:
        self.customers: Generations[int, Profile] = Generations()
        self.recent: Generations[int, bool] = Generations()
        self.provisional = provisional
        self.watermark = Watermark()
        self.turns_at = 0

    def customer(self, user: int) -> Profile:
        """The history to add to."""
        found = self.customers.use(user)
        if found is None:
            found = Profile()
            self.customers.put(user, found)
        return found

    def seen(self, transaction: int) -> bool:
        return self.recent.peek(transaction) is not None

    def remember(self, transaction: int, at: int) -> None:
        self.recent.put(transaction, True)
        if len(self.recent.young) >= _RECENT:
            self.recent.turn()
        if self.watermark.at is None:
            self.turns_at = at + _TURN
        self.watermark.advance(at)
        if self.watermark.behind(self.turns_at) >= 0:
            self.customers.turn()
            self.turns_at += _TURN

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(
            [
                _VERSION,
                self.watermark.at,
                self.turns_at,
                _pack_ids(self.recent.young),
                _pack_ids(self.recent.old),
                _pack_customers(self.customers.young),
                _pack_customers(self.customers.old),
            ]
        )

    @classmethod
    def load(cls, snapshot: bytes, provisional: Provisionals) -> FraudState:
        """Raises ValueError for a snapshot of another version."""
        version, *fields = msgspec.msgpack.decode(snapshot)
        if version != _VERSION:
            raise ValueError(f"fraud snapshot has version {version}, not {_VERSION}")
        state = cls(provisional)
        state.watermark.at, state.turns_at, young_ids, old_ids, young, old = fields
        state.recent.young = dict.fromkeys(_ids(young_ids), True)
        state.recent.old = dict.fromkeys(_ids(old_ids), True)
        state.customers.young = _unpack_customers(young)
        state.customers.old = _unpack_customers(old)
        return state


def _pack_ids(ids: Iterable[int]) -> bytes:
    return b"".join(one.to_bytes(16, "big") for one in ids)


def _ids(packed: bytes) -> Iterable[int]:
    return (int.from_bytes(packed[i : i + 16], "big") for i in range(0, len(packed), 16))


def _pack_customers(customers: dict[int, Profile]) -> tuple[bytes, list[bytes]]:
    return _pack_ids(customers), [history.pack() for history in customers.values()]


def _unpack_customers(packed: tuple[bytes, list[bytes]]) -> dict[int, Profile]:
    ids, histories = packed
    return dict(zip(_ids(ids), map(Profile.unpack, histories), strict=True))
