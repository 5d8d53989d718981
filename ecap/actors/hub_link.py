"""The way from a member to the hub's actor."""

from __future__ import annotations

from ecap.config.protocol import Instruction, Report
from ecap.errors import EcapError, Fenced, Retryable, Unavailable
from ecap.mesh import Transport

# The actor that decides which configuration runs.
CONFIG = "config"

_LEAVE_S = 1.0
# Past the time for which the hub says it may be silent.
_SPARE_S = 3.0


class HubConnection:
    """`hold_s`: how long the hub may hold a report before it answers; its own answers
    say so anew."""

    def __init__(self, transport: Transport, *, hold_s: float) -> None:
        self._transport = transport
        self._hold_s = hold_s

    async def exchange(self, report: Report) -> Instruction:
        try:
            order = await self._transport.send("exchange", report, {}, self._hold_s + _SPARE_S)
        except (Retryable, Fenced):
            raise
        except EcapError as exc:
            # A hub that cannot start, or has a fault, is away: it will be replaced.
            raise Unavailable(f"the configuration hub: {exc.detail}") from exc
        assert isinstance(order, Instruction)
        self._hold_s = order.hold_s or self._hold_s
        return order

    async def leave(self, member: str, incarnation: str) -> None:
        await self._transport.send("leave", (member, incarnation), {}, _LEAVE_S)
