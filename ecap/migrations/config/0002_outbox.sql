CREATE TABLE config.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    topic text NOT NULL,
    key text NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    partition int,
    pos bigint
);

-- The relay asks for what has no place yet, in order of writing.
CREATE INDEX outbox_unplaced ON config.outbox (seq) WHERE pos IS NULL;
CREATE UNIQUE INDEX outbox_place ON config.outbox (topic, partition, pos) WHERE pos IS NOT NULL;
CREATE INDEX outbox_created ON config.outbox (created_at);
