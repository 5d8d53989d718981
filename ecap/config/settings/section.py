"""What every part of the settings tree is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

# What msgpack, the wire and the history can carry.
_INTEGERS = range(-(2**63), 2**63)


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _fits(cls, value: Any) -> Any:
        """Text of a variable becomes a number only here."""
        items = value.values() if isinstance(value, dict) else (value,)
        if any(isinstance(item, int) and item not in _INTEGERS for item in items):
            raise ValueError("the number has more than 64 bits")
        return value


@dataclass(frozen=True)
class Fixed:
    """Marks a setting, or all settings of a section, that a running ECAP cannot change.

    A change is refused with `reason`; a restart takes it.
    """

    reason: str


AT_START = Fixed("processes read it once, when they start")
LISTENER = Fixed("the listener is bound when the process starts")
CONNECTION = Fixed("clients connect with it when the process starts")
PARTITIONS = Fixed("it decides which shard owns which partition")
REPLICA = Fixed("Ray Serve pauses or replaces replicas to change it")
TOKENS = Fixed("access tokens that are in use carry it")
AMOUNTS = Fixed("amounts that are stored are in it")
