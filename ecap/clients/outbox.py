"""The producing half of the transactional outbox: events commit with the state they tell of.

Every producing schema has a table of this shape; the relay gives each row its
place in Kafka:

    CREATE TABLE <schema>.outbox (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id uuid NOT NULL UNIQUE, topic text NOT NULL, key text NOT NULL,
        body bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
        partition int, pos bigint);
"""

from __future__ import annotations

from collections.abc import Sequence

from ecap.clients.postgres import Connection
from ecap.domain.events.codec import encode
from ecap.domain.events.envelope import Event
from ecap.errors import Invalid

# Schemas are constants of this program, never input; listed so that SQL text can
# only ever be built from these.
SCHEMAS = ("auth", "catalog", "orders", "fraud", "analytics", "notifications", "stream", "config")
_INSERT = {
    schema: f"""
        INSERT INTO {schema}.outbox (id, topic, key, body)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[])
    """  # noqa: S608  schema is one of the constants above
    for schema in SCHEMAS
}


# Kafka's default limit is 1 MiB with its own headers; the relay could never send a larger one.
MAX_EVENT_BYTES = 1_000_000


async def append(conn: Connection, schema: str, topic: str, batch: Sequence[Event]) -> None:
    """Write the events in the caller's transaction, in order. Raises Invalid for one that
    no broker would take, so that nothing is accepted that cannot be told."""
    if not batch:
        return
    bodies = [_encoded(event) for event in batch]
    await conn.execute(
        _INSERT[schema],
        [event.id for event in batch],
        [topic] * len(batch),
        [event.key for event in batch],
        bodies,
    )


def _encoded(event: Event) -> bytes:
    body = encode(event)
    if len(body) > MAX_EVENT_BYTES:
        raise Invalid(f"{event.type} takes {len(body)} bytes; {MAX_EVENT_BYTES} may be told")
    return body


async def append_raw(
    conn: Connection, schema: str, rows: Sequence[tuple[object, str, str, bytes]]
) -> None:
    """Rows of (id, topic, key, body) that are already encoded, such as dead letters."""
    if rows:
        await conn.execute(_INSERT[schema], *(list(column) for column in zip(*rows, strict=True)))
