"""The end of a run, for people: the reconciliation, then what was learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ecap.demo.books.amounts import money
from ecap.demo.books.comparison import Row
from ecap.demo.shoppers.ledger import Caught
from ecap.demo.show.outcome import Outcome
from ecap.demo.show.view import Milliseconds, in_ms

_NAMES = {
    "card_tester": "card testers",
    "account_taker": "account takers",
    "traveller": "impossible travellers",
}


def report(outcome: Outcome, console: Console) -> None:
    console.print(_table(outcome))
    console.print()
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    for name, text in _facts(outcome):
        facts.add_row(name, Text(text))
    console.print(facts)
    console.print()
    console.print(_verdict(outcome))
    for row in outcome.rows:
        if not row.ok:
            console.print(Text.assemble(("✗  ", "bold red"), f"{row.stage.strip()}, {row.source}"))
        for fault in row.faults:
            # Ids stay whole, so that they can be copied.
            console.print(Text(f"     {fault}"), soft_wrap=True)


def _table(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    table.add_column("")
    table.add_column("Reconciliation", no_wrap=True)
    table.add_column("Source", style="dim", no_wrap=True)
    table.add_column("Count", justify="right", no_wrap=True)
    table.add_column("Amount", justify="right", no_wrap=True)
    for row in outcome.rows:
        mark = Text("✔", "green") if row.ok else Text("✗", "bold red")
        table.add_row(mark, row.stage, row.source, _count(row), _amount(row))
    return table


def _count(row: Row) -> str:
    return f"{row.count} {row.unit}" if row.unit != "orders" else f"{row.count}"


def _amount(row: Row) -> str:
    return "" if row.amount_minor is None else money(row.amount_minor)


def _facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    ledger, took_s = outcome.ledger, outcome.took_s
    rate = len(ledger.placed) / max(took_s, 0.001)
    yield (
        "Sent",
        f"{ledger.sent} of {outcome.planned} orders by {len(ledger.users)} people"
        f" in {took_s:.0f} s, {rate:.1f} accepted a second,\n"
        f"{ledger.repeats} sent again with the same key got the same answer",
    )
    orders, requests = in_ms(outcome.meter.orders.all_s), in_ms(outcome.meter.requests.all_s)
    yield (
        "Latency",
        f"orders {_pair(orders)}\n"
        f"all {len(outcome.meter.requests.all_s)} requests {_pair(requests)}",
    )
    yield "Failed", f"{outcome.failed or 'no'} requests (5xx, or no answer)"
    yield "Refused", _counts(ledger.refused) or "nothing"
    waited = dict(ledger.waited) | {
        f"rate limited at {path}": count for path, count in outcome.limited.items()
    }
    if waited:
        yield "Asked again", _counts(waited)
    yield "Planted fraud", "\n".join(_caught(outcome)) or "none was sent"
    yield "Honest people", _troubled(outcome.troubled)
    if outcome.unscored:
        yield (
            "Not scored",
            f"{len(outcome.unscored)} orders in review: no fraud shard answered in time",
        )
    for name, mark in (("Kafka", "Kafka"), ("SQL Δ", "Δ")):
        notes = {row.note for row in outcome.rows if row.note and mark in row.source}
        if notes:
            yield name, "; ".join(sorted(notes))


def _caught(outcome: Outcome) -> Iterator[str]:
    for kind, found in outcome.caught.items():
        if found.people:
            yield (
                f"{found.people_caught} of {found.people} {_NAMES[kind]} caught"
                f" ({found.orders_caught} of {found.orders} orders)"
            )


def _troubled(found: Caught) -> str:
    if not found.people:
        return "none ordered"
    share = found.people_caught / found.people
    return (
        f"{found.people_caught} of {found.people} troubled ({share:.1%}):"
        f" {found.orders_caught} of {found.orders} orders in review or denied"
    )


def _verdict(outcome: Outcome) -> Text:
    wrong = sum(not row.ok for row in outcome.rows)
    if wrong:
        return Text(f"{wrong} of {len(outcome.rows)} rows differ:", "bold red")
    return Text("Every stage has the same orders and the same money, to the cent.", "bold green")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _pair(value: Milliseconds) -> str:
    if value.p50 is None or value.p99 is None:
        return "none"
    return f"p50 {value.p50:.1f} ms, p99 {value.p99:.1f} ms"
