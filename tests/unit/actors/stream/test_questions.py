"""Finding the owner of a key while owners change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ecap.actors.stream.questions import Ask, Elsewhere, ShardClient
from ecap.domain.values.partitions import partition_of
from ecap.errors import NotFound, Unavailable
from ecap.mesh import CallPolicy, MeshClient

PLACE = ("transactions", partition_of("user-1", 6))


class Owners:
    """In place of the directory over PostgreSQL: what is known, and what is true."""

    def __init__(self, known: Mapping[Any, str | None], truth: Mapping[Any, str | None]) -> None:
        self.known = known
        self.truth = truth
        self.refreshed = 0

    async def owners(self, pipeline: str) -> Mapping[Any, str | None]:
        return self.known

    async def refresh(self, pipeline: str) -> None:
        self.refreshed += 1
        self.known = self.truth


class Actor:
    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Ask] = []

    async def send(
        self, method: str, payload: Any, headers: Mapping[str, str], timeout_s: float
    ) -> Any:
        assert method == "ask"
        self.asked.append(payload)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def client(owners: Owners, **actors: Actor) -> ShardClient:
    meshed = {
        name: MeshClient(name, actor, CallPolicy(attempts=1)) for name, actor in actors.items()
    }
    return ShardClient(owners, meshed.__getitem__)  # type: ignore[arg-type]


async def test_the_owner_is_asked() -> None:
    a = Actor(42)
    shards = client(Owners({PLACE: "a"}, {}), a=a)
    assert await shards.ask("fraud", "user-1", "q", timeout_s=1) == 42
    assert a.asked == [Ask("fraud", "transactions", "user-1", "q")]


@pytest.mark.parametrize("first", [Elsewhere(), Unavailable("dead")])
async def test_a_change_of_hands_is_followed(first: Any) -> None:
    owners = Owners({PLACE: "a"}, {PLACE: "b"})
    shards = client(owners, a=Actor(first), b=Actor(7))
    assert await shards.ask("fraud", "user-1", "q", timeout_s=1) == 7
    assert owners.refreshed == 1


@pytest.mark.parametrize("known", [{}, {PLACE: None}])
async def test_nobody_owns_it_in_time(known: Mapping[Any, None]) -> None:
    with pytest.raises(Unavailable):
        await client(Owners(known, known)).ask("fraud", "user-1", "q", timeout_s=0.05)


async def test_with_several_topics_one_has_to_be_named() -> None:
    owners = Owners({PLACE: "a", ("accounts", 0): "a"}, {})
    a = Actor(1)
    with pytest.raises(NotFound, match="name one"):
        await client(owners, a=a).ask("users", "user-1", "q", timeout_s=1)
    assert await client(owners, a=a).ask("x", "user-1", "q", timeout_s=1, topic="transactions") == 1
