"""The run while it goes on: a table on a terminal, a line a second elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ecap.demo.books.amounts import money
from ecap.demo.books.collection import Left
from ecap.demo.show.view import Milliseconds, View


class Lines:
    """For logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, now: View) -> None:
        seen = now.seen
        parts = [
            f"{now.passed_s:4.0f} s",
            f"{now.per_second:5.1f} orders/s",
            f"{now.accepted:5d} accepted",
            f"p50 {_ms(now.orders_ms.p50)} p99 {_ms(now.orders_ms.p99)}",
            _counts({name: now.decisions.get(name, 0) for name in ("approve", "review", "deny")}),
            f"alerts {_number(seen.alerts)}",
            f"mails {_number(seen.delivered)}",
            f"lag {_number(None if seen.lag is None else sum(seen.lag.values()))}",
        ]
        self._say("  ".join(parts))

    def waiting(self, left: Left) -> None:
        self._say(f"waiting for the streams: {left}")

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)


class Board:
    """For people; drawn over and gone when the run is over."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, refresh_per_second=4)
        self._left: Left | None = None
        self._last: View | None = None

    def __enter__(self) -> Board:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, now: View) -> None:
        self._last = now
        self._live.update(board(now, None, height=self._console.height))

    def waiting(self, left: Left) -> None:
        if self._last:
            self._live.update(board(self._last, left, height=self._console.height))


def board(now: View, left: Left | None, *, height: int) -> RenderableType:
    """What does not fit is left out: a taller one could not be wiped away again."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    rows = list(_rows(now))
    for name, text in rows:
        table.add_row(name, text)
    parts: list[RenderableType] = [_title(now, left), "", table]
    if now.seen.revenue is not None:
        # The title, two blank lines, heading and sum, two lines that wrap, the cursor's.
        room = height - len(rows) - 8
        parts += ["", _revenue(now.seen.revenue, most=max(0, room))]
    return Group(*parts)


def _title(now: View, left: Left | None) -> Text:
    if left is not None:
        return Text.assemble(("ECAP demo  ", "bold"), f"waiting for the streams: {left}")
    return Text.assemble(
        ("ECAP demo  ", "bold"),
        f"{now.passed_s:.0f} of {now.seconds:.0f} s, {now.people} people",
        ("   Ctrl-C ends it early and still compares", "dim"),
    )


def _rows(now: View) -> Iterator[tuple[str, str]]:
    seen = now.seen
    yield (
        "Orders",
        f"{now.per_second:.1f}/s   {now.accepted} accepted of {now.sent} sent"
        f"   {now.repeats} repeats",
    )
    yield "Last 10 s", f"orders {_pair(now.orders_ms)}   requests {_pair(now.requests_ms)}"
    decided = {name: now.decisions.get(name, 0) for name in ("approve", "review", "deny")}
    yield "Decisions", _counts(decided)
    yield "Alerts", _number(seen.alerts)
    yield "Notifications", f"{_number(seen.delivered)} delivered"
    yield "Stream lag", "?" if seen.lag is None else _lag(seen.lag)
    yield "Refused", _counts(now.refused) or "nothing"
    if now.waited:
        yield "Asked again", _counts(now.waited)


def _revenue(revenue: Mapping[datetime, Mapping[str, int]], *, most: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Revenue by minute", no_wrap=True)
    minutes = sorted(revenue)
    for minute in minutes:
        table.add_column(f"{minute:%H:%M} UTC", justify="right", no_wrap=True)
    totals: Counter[str] = Counter()
    for cells in revenue.values():
        totals.update(cells)
    shown = sorted(totals)
    if len(shown) > most:
        shown = sorted(name for name, _ in totals.most_common(max(0, most - 1)))
    for category in shown:
        table.add_row(category, *(_money(revenue[minute].get(category)) for minute in minutes))
    if len(shown) < len(totals):
        rest = ({k: v for k, v in revenue[m].items() if k not in shown} for m in minutes)
        hidden = len(totals) - len(shown)
        table.add_row(f"{hidden} others", *(_money(sum(cells.values())) for cells in rest))
    sums = (money(sum(revenue[minute].values())) for minute in minutes)
    table.add_row("all", *sums, style="bold")
    return table


def _money(minor: int | None) -> str:
    return "-" if minor is None else money(minor)


def _counts(counts: Mapping[str, int]) -> str:
    return "   ".join(f"{name} {count}" for name, count in counts.items())


def _lag(lag: Mapping[str, int]) -> str:
    busy = {name: count for name, count in sorted(lag.items()) if count}
    return _counts(busy) or "none"


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)


def _pair(value: Milliseconds) -> str:
    return f"p50 {_ms(value.p50)}  p99 {_ms(value.p99)}"


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
