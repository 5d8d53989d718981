CREATE SCHEMA IF NOT EXISTS audit;

-- The security log: one row for each audit.entry event, whoever told it.
CREATE TABLE audit.entries (
    id uuid PRIMARY KEY,                    -- of the event
    at timestamptz NOT NULL,                -- when it happened
    recorded_at timestamptz NOT NULL DEFAULT now(),
    source text NOT NULL,                   -- the schema whose outbox told it
    action text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('done', 'failed', 'refused')),
    actor text NOT NULL,                    -- an id, never a name
    actor_kind text NOT NULL,
    subject text NOT NULL,                  -- whom or what it was done to; may be empty
    address text NOT NULL,                  -- where the request came from; may be empty
    request_id text NOT NULL,               -- of the access log; may be empty
    details jsonb NOT NULL                  -- no secrets, nothing personal
);
-- Pages newest first: cursor (at, id), of all, of one actor, of one subject, of one action.
CREATE INDEX entries_recent ON audit.entries (at DESC, id DESC);
CREATE INDEX entries_actor ON audit.entries (actor, at DESC, id DESC);
CREATE INDEX entries_subject ON audit.entries (subject, at DESC, id DESC);
CREATE INDEX entries_action ON audit.entries (action, at DESC, id DESC);
-- What has been kept for long enough.
CREATE INDEX entries_recorded ON audit.entries (recorded_at);

CREATE FUNCTION audit.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the security log is append-only';
END
$$;
CREATE TRIGGER entries_append_only BEFORE UPDATE OR TRUNCATE ON audit.entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit.append_only();

-- 30 days are the least that audit.retention_s may be: what is younger goes by nobody's hand.
CREATE FUNCTION audit.keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.recorded_at > now() - interval '30 days' THEN
        RAISE EXCEPTION 'the security log is append-only';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER entries_keep BEFORE DELETE ON audit.entries
    FOR EACH ROW EXECUTE FUNCTION audit.keep();
