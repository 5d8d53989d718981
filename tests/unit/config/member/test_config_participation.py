from __future__ import annotations

import asyncio
import time

import pytest

from ecap.config import Settings
from ecap.config.member.member import Member
from ecap.config.member.participation import taking_part
from ecap.config.protocol import HubLink, Instruction, Report
from ecap.errors import EcapError, Fenced, Unavailable


class Link:
    """A hub that has nothing to say, or one that is in trouble."""

    def __init__(self, trouble: EcapError | None = None) -> None:
        self.trouble = trouble
        self.asked = asyncio.Event()
        self.left: list[tuple[str, str]] = []

    async def exchange(self, report: Report) -> Instruction:
        self.asked.set()
        if self.trouble is not None:
            raise self.trouble
        await asyncio.Event().wait()
        raise AssertionError

    async def leave(self, member: str, incarnation: str) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.left.append((member, incarnation))


def member(link: HubLink | None) -> Member:
    return Member("m", kind="test", settings=Settings(), link=link, clock=time.monotonic)


async def test_who_ends_well_says_good_bye() -> None:
    link = Link()
    one = member(link)
    async with taking_part(one):
        await link.asked.wait()
        assert link.left == []
    assert link.left == [("m", one.incarnation)]


async def test_work_goes_on_without_a_hub() -> None:
    link = Link(Unavailable("no hub"))
    async with taking_part(member(link)):
        await link.asked.wait()


async def test_work_goes_on_where_there_is_none() -> None:
    one = member(None)
    async with taking_part(one):
        await asyncio.sleep(0)
    assert one.version == 0


async def test_one_that_was_replaced_takes_part_no_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    link = Link(Fenced("a newer m has joined"))
    async with taking_part(member(link)):
        await link.asked.wait()
        link.asked.clear()
        async with asyncio.timeout(5):
            while "takes part no longer" not in caplog.text:  # noqa: ASYNC110  its task decides
                await asyncio.sleep(0)
        assert not link.asked.is_set()
    assert "takes part no longer" in caplog.text
