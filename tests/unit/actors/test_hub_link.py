from __future__ import annotations

from typing import Any

import pytest

from ecap.actors.hub_link import HubConnection
from ecap.config.protocol import Instruction, Report
from ecap.errors import EcapError, Fenced, Misconfigured, Unavailable

REPORT = Report("m", "one", "actor", 0)


class Hub:
    """Answers as it is told, and keeps what it was given to answer in."""

    def __init__(self, *answers: Instruction | EcapError) -> None:
        self.answers = list(answers)
        self.patience_s: list[float] = []

    async def send(self, method: str, payload: Any, headers: Any, timeout_s: float) -> Any:
        self.patience_s.append(timeout_s)
        answer = self.answers.pop(0)
        if isinstance(answer, EcapError):
            raise answer
        return answer


async def test_the_hub_says_how_long_it_may_be_silent() -> None:
    hub = Hub(Instruction("nothing", hold_s=9.0), Instruction("nothing"), Instruction("nothing"))
    link = HubConnection(hub, hold_s=2.0)
    for _ in range(3):
        await link.exchange(REPORT)
    assert [patience - hub.patience_s[0] for patience in hub.patience_s] == [0.0, 7.0, 7.0]


@pytest.mark.parametrize(
    "fault", [EcapError("exchange failed: KeyError"), Misconfigured("no keyring")]
)
async def test_a_hub_with_a_fault_is_away(fault: EcapError) -> None:
    with pytest.raises(Unavailable, match=fault.detail):
        await HubConnection(Hub(fault), hold_s=2.0).exchange(REPORT)


async def test_a_member_that_was_replaced_hears_it() -> None:
    with pytest.raises(Fenced):
        await HubConnection(Hub(Fenced("a newer m")), hold_s=2.0).exchange(REPORT)
