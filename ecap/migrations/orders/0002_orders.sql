-- What is sold, fed from product-updates by the pipeline `inventory`. Orders take
-- price and stock from here and from nowhere else.
CREATE TABLE orders.items (
    product_id uuid PRIMARY KEY,
    sku text NOT NULL,
    name text NOT NULL,
    category text NOT NULL,
    price numeric(12, 2) NOT NULL CHECK (price >= 0),
    currency text NOT NULL,
    active boolean NOT NULL,
    stock int NOT NULL CHECK (stock >= 0),
    -- Units the warehouse lost that had been sold already; the next arrivals pay them.
    owed int NOT NULL DEFAULT 0 CHECK (owed >= 0 AND (owed = 0 OR stock = 0)),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);  -- every sale updates its row in place

CREATE TABLE orders.orders (
    id uuid PRIMARY KEY,                            -- derived from the user and the Idempotency-Key
    user_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'approved', 'in_review', 'denied', 'cancelled')),
    amount numeric(14, 2) NOT NULL CHECK (amount >= 0),
    currency text NOT NULL,
    decision text NOT NULL CHECK (decision IN ('approve', 'review', 'deny')),
    score smallint NOT NULL CHECK (score BETWEEN 0 AND 100),
    reasons text[] NOT NULL,
    sealed bytea,                                   -- where it is sent, under the keyring
    version bigint NOT NULL DEFAULT 1,
    placed_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL
) WITH (fillfactor = 90);
-- Pages newest first: cursor (placed_at, id), of one user, of one status, of all.
CREATE INDEX orders_user ON orders.orders (user_id, placed_at DESC, id DESC);
CREATE INDEX orders_recent ON orders.orders (placed_at DESC, id DESC);
CREATE INDEX orders_status ON orders.orders (status, placed_at DESC, id DESC);

-- Names and prices as they were when the order was placed.
CREATE TABLE orders.lines (
    order_id uuid NOT NULL REFERENCES orders.orders (id) ON DELETE CASCADE,
    line smallint NOT NULL,
    product_id uuid NOT NULL,
    sku text NOT NULL,
    name text NOT NULL,
    category text NOT NULL,
    quantity int NOT NULL CHECK (quantity > 0),
    unit_price numeric(12, 2) NOT NULL CHECK (unit_price >= 0),
    PRIMARY KEY (order_id, line)
);

-- Every change of status; `version` is the order's afterwards.
CREATE TABLE orders.history (
    order_id uuid NOT NULL REFERENCES orders.orders (id) ON DELETE CASCADE,
    version bigint NOT NULL,
    previous text NOT NULL,
    status text NOT NULL,
    actor text NOT NULL,                            -- a user id, or 'fraud'
    reason text NOT NULL DEFAULT '',
    at timestamptz NOT NULL,
    PRIMARY KEY (order_id, version)
);

-- The answer a key got, given again to whoever repeats the request.
CREATE TABLE orders.idempotency (
    user_id uuid NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,                     -- of the request it answered
    status int NOT NULL,
    headers jsonb NOT NULL,                         -- pairs of name and value
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_created ON orders.idempotency (created_at);
