"""What every part of the settings tree is made of."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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
