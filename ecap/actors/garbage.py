"""Cyclic garbage collection in processes that serve."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Their long-lived objects are many and their work makes few cycles: looking for some
    after every 700 objects took a fifth of a shard."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
