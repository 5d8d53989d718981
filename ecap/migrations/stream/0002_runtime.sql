-- One row per partition of each of our topics. Positions are dense and never reused;
-- the broker is only a carrier that may forget what it was given.
CREATE TABLE stream.topic_log (
    topic text NOT NULL,
    partition int NOT NULL,
    first_pos bigint NOT NULL DEFAULT 0,  -- everything below was purged from the outbox
    next_pos bigint NOT NULL DEFAULT 0,   -- the next position to give out
    sent_pos bigint NOT NULL DEFAULT 0,   -- everything below is in Kafka, as far as we know
    kafka_offset bigint,                  -- base offset of the last batch sent; null: unknown
    refill_from bigint,                   -- a consumer asks to be sent this again
    PRIMARY KEY (topic, partition),
    CHECK (first_pos <= next_pos AND sent_pos <= next_pos)
) WITH (fillfactor = 50);

-- A partition belongs to its owner for as long as the owner's membership has not expired.
CREATE TABLE stream.members (
    pipeline text NOT NULL,
    member text NOT NULL,
    incarnation bigint NOT NULL DEFAULT 1,  -- a newer process of the same name replaces the older
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (pipeline, member)
) WITH (fillfactor = 50);

CREATE TABLE stream.partitions (
    pipeline text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    owner text,
    epoch bigint NOT NULL DEFAULT 0,         -- the fence: grows with each change of hands
    start_pos bigint NOT NULL,               -- where this pipeline began
    next_pos bigint NOT NULL,                -- everything below is applied and committed
    kafka_offset bigint NOT NULL DEFAULT 0,  -- where to look first; only a hint
    moved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline, topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE stream.snapshots (
    pipeline text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    pos bigint NOT NULL,
    kafka_offset bigint NOT NULL,
    body bytea NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline, topic, partition)
);

CREATE TABLE stream.dead_letters (
    id uuid PRIMARY KEY,
    pipeline text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    pos bigint NOT NULL,
    kafka_offset bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    key text NOT NULL,
    body bytea NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'requested', 'replayed')),
    attempts int NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (pipeline, topic, partition, pos)
);
CREATE INDEX dead_letters_requested ON stream.dead_letters (pipeline) WHERE status = 'requested';
CREATE INDEX dead_letters_recent ON stream.dead_letters (created_at DESC);
