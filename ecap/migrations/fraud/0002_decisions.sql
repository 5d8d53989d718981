-- One row per order.placed: the decision that was acted on, and why.
CREATE TABLE fraud.decisions (
    transaction_id uuid PRIMARY KEY,               -- the order's id
    user_id uuid NOT NULL,
    decision text NOT NULL CHECK (decision IN ('approve', 'review', 'deny')),
    score smallint NOT NULL CHECK (score BETWEEN 0 AND 100),
    reasons text[] NOT NULL,                        -- codes of ecap.domain.fraud.rules, strongest first
    amount numeric(14, 2) NOT NULL,
    currency text NOT NULL,
    scored_live boolean NOT NULL,                   -- the shard answered before the order was placed
    late boolean NOT NULL,                          -- older than what the windows still hold exactly
    occurred_at timestamptz NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    -- What became of the order later; the label that rules and models are judged by.
    outcome text CHECK (outcome IN ('approved', 'denied', 'cancelled')),
    outcome_at timestamptz
);
-- Pages of one user's decisions, newest first: cursor (occurred_at, transaction_id).
CREATE INDEX decisions_user ON fraud.decisions (user_id, occurred_at DESC, transaction_id DESC);

-- One row per decision that was not "approve", for an analyst.
CREATE TABLE fraud.alerts (
    id uuid PRIMARY KEY,                            -- derived from the transaction; also the id of its fraud.alert event
    transaction_id uuid NOT NULL UNIQUE,
    user_id uuid NOT NULL,
    decision text NOT NULL CHECK (decision IN ('review', 'deny')),
    score smallint NOT NULL CHECK (score BETWEEN 0 AND 100),
    reasons text[] NOT NULL,
    amount numeric(14, 2) NOT NULL,
    currency text NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'acknowledged', 'closed')),
    status_by text,                                 -- who changed it last; 'order' when the order's outcome closed it
    status_at timestamptz NOT NULL DEFAULT now(),
    note text NOT NULL DEFAULT '',
    version bigint NOT NULL DEFAULT 1,              -- for ETag / If-Match
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Pages newest first: cursor (occurred_at, id), of all, of one status, of one user.
CREATE INDEX alerts_recent ON fraud.alerts (occurred_at DESC, id DESC);
CREATE INDEX alerts_status ON fraud.alerts (status, occurred_at DESC, id DESC);
CREATE INDEX alerts_user ON fraud.alerts (user_id, occurred_at DESC, id DESC);
