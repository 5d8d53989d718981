"""Proportional memory of a process tree: shared pages counted once over all of it."""

from __future__ import annotations

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """`pid` and everything below it; empty when it has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def pss_bytes(process: psutil.Process) -> int:
    """0 for a process that is gone; resident memory where the system has no PSS."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
