"""Where an event stands: topic and partition, and its row in the outbox."""

from __future__ import annotations

Place = tuple[str, int]
Row = tuple[int, str, bytes]
"""Position, key, body."""
