-- What the stream computed. Readers ask "what changed since revision r":
--   SELECT ... WHERE revision > r ORDER BY revision
-- Writers take an advisory lock before they draw revisions, so a lower revision is
-- never committed after a higher one and no reader skips a change.
CREATE SEQUENCE analytics.revision;

-- outcome: an order's money is in exactly one of these, in the minute it was placed.
CREATE TABLE analytics.revenue_minute (
    minute timestamptz NOT NULL,                    -- event time, start of the minute
    category text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('approved', 'in_review', 'denied', 'cancelled')),
    units bigint NOT NULL,
    amount numeric(18, 2) NOT NULL,                 -- sum of quantity x unit price of the lines
    revision bigint NOT NULL,
    PRIMARY KEY (minute, category, outcome)
);
CREATE INDEX revenue_minute_revision ON analytics.revenue_minute (revision);

CREATE TABLE analytics.orders_minute (
    minute timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('approved', 'in_review', 'denied', 'cancelled')),
    orders bigint NOT NULL,
    amount numeric(18, 2) NOT NULL,                 -- sum of the orders' amounts
    revision bigint NOT NULL,
    PRIMARY KEY (minute, outcome)
);
CREATE INDEX orders_minute_revision ON analytics.orders_minute (revision);

-- Sold means approved or in review; a later denial or cancellation takes it back.
CREATE TABLE analytics.product_hour (
    hour timestamptz NOT NULL,                      -- event time, start of the hour
    product_id uuid NOT NULL,
    units bigint NOT NULL,
    amount numeric(18, 2) NOT NULL,
    views bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (hour, product_id)
);
CREATE INDEX product_hour_product ON analytics.product_hour (product_id, hour DESC);
CREATE INDEX product_hour_revision ON analytics.product_hour (revision);

-- kind: product_viewed, product_searched, search_empty (a search that found nothing).
CREATE TABLE analytics.activity_hour (
    hour timestamptz NOT NULL,
    kind text NOT NULL,
    events bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (hour, kind)
);

-- Events that came more than stream.late_after_s behind the newest of their
-- partition. They are counted above as well.
CREATE TABLE analytics.late_hour (
    hour timestamptz NOT NULL,                      -- event time
    topic text NOT NULL,
    events bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (hour, topic)
);

-- Names for product ids, from product.upserted.
CREATE TABLE analytics.products (
    product_id uuid PRIMARY KEY,
    sku text NOT NULL,
    name text NOT NULL,
    category text NOT NULL,
    active boolean NOT NULL,
    updated_at timestamptz NOT NULL                 -- occurred_at of the event
);
