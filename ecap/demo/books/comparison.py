"""Two books compared order by order, to the cent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from ecap.demo.books.amounts import money
from ecap.demo.books.books import Entry

_NAMED = 10


@dataclass(frozen=True)
class Row:
    """One stage. `faults` say what differs and name the ids; without any it is right.
    `amount_minor` is None where no money is counted."""

    stage: str
    source: str
    count: int
    amount_minor: int | None
    faults: tuple[str, ...] = ()
    note: str = ""
    unit: str = "orders"

    @property
    def ok(self) -> bool:
        return not self.faults


def compare(
    stage: str, source: str, expected: Mapping[UUID, Entry], found: Iterable[Entry], note: str = ""
) -> Row:
    """Each order exactly once, with the same amount and mark."""
    entries = list(found)
    times = Counter(entry.order_id for entry in entries)
    by_id = {entry.order_id: entry for entry in entries}
    faults = [
        *named("missing", expected.keys() - by_id.keys()),
        *named("not known to the shoppers", by_id.keys() - expected.keys()),
        *named("more than once", {id_ for id_, count in times.items() if count > 1}),
    ]
    for id_ in sorted(expected.keys() & by_id.keys()):
        ours, theirs = expected[id_], by_id[id_]
        if ours.amount_minor != theirs.amount_minor:
            faults.append(
                f"{id_} is worth {money(theirs.amount_minor)}, not {money(ours.amount_minor)}"
            )
        if ours.mark != theirs.mark:
            faults.append(f"{id_} is {theirs.mark}, not {ours.mark}")
    total = sum(entry.amount_minor for entry in entries)
    return Row(stage, source, len(entries), total, tuple(faults), note)


def compare_ids(stage: str, source: str, expected: Iterable[UUID], found: Iterable[UUID]) -> Row:
    ours, theirs = set(expected), set(found)
    faults = [*named("missing", ours - theirs), *named("not known to the shoppers", theirs - ours)]
    return Row(stage, source, len(theirs), None, tuple(faults), unit="people")


def compare_sums(
    stage: str,
    source: str,
    expected: tuple[int, int],
    found: tuple[int, int],
    *,
    note: str = "",
    unit: str = "orders",
    faults: Iterable[str] = (),
) -> Row:
    """Pairs of a count and an amount in minor units, where a book has only sums."""
    found_faults = list(faults)
    if expected[0] != found[0]:
        found_faults.append(f"{found[0]} {unit} instead of {expected[0]}")
    if expected[1] != found[1]:
        found_faults.append(f"{money(found[1])} instead of {money(expected[1])}")
    return Row(stage, source, found[0], found[1], tuple(found_faults), note, unit)


def named(what: str, ids: Iterable[object]) -> list[str]:
    """A sentence for each id; for the first ones, when there are many."""
    ordered = sorted(map(str, ids))
    sentences = [f"{what}: {id_}" for id_ in ordered[:_NAMED]]
    if len(ordered) > _NAMED:
        sentences.append(f"{what}: {len(ordered) - _NAMED} more")
    return sentences
