"""Dead letters an operator wants applied after all: exactly once, by the owning shard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ecap.actors.place import Place
from ecap.actors.stream.commit import Batch
from ecap.actors.stream.deadletters import DeadLetters, Requested
from ecap.actors.stream.owned import REFUSED, Owned, Poisoned
from ecap.actors.stream.pipeline import Pipeline, Record
from ecap.domain.events.codec import EventError, decode


async def replay(
    pipeline: Pipeline[Any, Any],
    letters: DeadLetters,
    owned: Mapping[Place, Owned],
    finish: Callable[[Batch, Owned], Awaitable[None]],
) -> None:
    """One transaction a letter, each with a snapshot: recovery reads events in their
    first order and would never come by the replayed one again."""
    live = [place for place, partition in owned.items() if partition.cursor.live]
    if not live:
        return
    for letter in await letters.requested(pipeline.name, live):
        partition = owned[letter.topic, letter.partition]
        batch = Batch(replayed=[letter.id])
        try:
            result = _apply(pipeline, partition, letter)
        except ValueError as exc:
            reason = exc.reason if isinstance(exc, EventError) else REFUSED
            await letters.reopen(letter.id, reason=reason, detail=str(exc))
            continue
        except Exception as exc:
            # Before the session ends of it: still requested, the letter would end the next one, and
            # every one after that.
            await letters.reopen(letter.id, reason="failed", detail=repr(exc))
            raise Poisoned(partition.place, letter.pos, repr(exc)) from exc
        if result is not None:
            batch.results.append(result)
        # The letter may be in the state before the batch under way is committed: `finish` waits for
        # that one, and its snapshot holds both.
        await finish(batch, partition)


def _apply(pipeline: Pipeline[Any, Any], partition: Owned, letter: Requested) -> Any:
    event = decode(letter.body)
    return pipeline.apply(
        partition.state, Record(letter.topic, letter.partition, letter.pos, event)
    )
