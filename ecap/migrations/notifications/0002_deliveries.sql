-- Whom to write to, from user.registered.
CREATE TABLE notifications.contacts (
    user_id uuid PRIMARY KEY,
    sealed bytea NOT NULL,                          -- e-mail and display name, under the keyring
    updated_at timestamptz NOT NULL
);

-- One row per event and channel. Every order event has an 'email' row; a
-- 'webhook' row only while a receiver is configured.
CREATE TABLE notifications.deliveries (
    id uuid PRIMARY KEY,                            -- derived from event_id and channel
    event_id uuid NOT NULL,
    user_id uuid NOT NULL,
    order_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN
        ('order_placed', 'order_approved', 'order_denied', 'order_cancelled')),  -- order_placed: waits for review
    channel text NOT NULL CHECK (channel IN ('email', 'webhook')),
    subject text NOT NULL,
    payload jsonb NOT NULL,                         -- order_id, amount, currency, units, occurred_at, reason
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'sending', 'delivered', 'failed')),
    attempts int NOT NULL DEFAULT 0,                -- also the fence: only the newest attempt may finish
    -- pending: not before this; sending: the claim is free again after this.
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error text,
    occurred_at timestamptz NOT NULL,               -- of the event
    created_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz
);
CREATE INDEX deliveries_due ON notifications.deliveries (next_attempt_at)
    WHERE status IN ('pending', 'sending');
-- Pages newest first: cursor (created_at, id), of one user, of one status.
CREATE INDEX deliveries_user ON notifications.deliveries (user_id, created_at DESC, id DESC);
CREATE INDEX deliveries_status ON notifications.deliveries (status, created_at DESC, id DESC)
    WHERE status IN ('pending', 'sending', 'failed');
CREATE INDEX deliveries_order ON notifications.deliveries (order_id);

-- The delivery log. outcome is null while an attempt runs, and stays null when its
-- worker died: such an attempt may or may not have arrived.
CREATE TABLE notifications.attempts (
    delivery_id uuid NOT NULL REFERENCES notifications.deliveries (id) ON DELETE CASCADE,
    attempt int NOT NULL,
    worker text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    outcome text CHECK (outcome IN ('delivered', 'retry', 'failed')),
    error text,
    PRIMARY KEY (delivery_id, attempt)
);
