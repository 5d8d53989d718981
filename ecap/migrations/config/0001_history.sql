CREATE SCHEMA IF NOT EXISTS config;

-- What happened to the configuration. Each row carries the hash of the one before it.
CREATE TABLE config.history (
    seq bigint PRIMARY KEY,                 -- dense; a second hub at work collides here
    version bigint NOT NULL,
    kind text NOT NULL,
    at double precision NOT NULL,           -- Unix time, exactly as it was hashed
    author text NOT NULL,
    reason text NOT NULL,
    body json NOT NULL,                     -- json, not jsonb: the text stays as it was hashed
    previous text NOT NULL,
    hash text NOT NULL UNIQUE
);
CREATE INDEX history_version ON config.history (version);

CREATE FUNCTION config.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the configuration history is append-only';
END
$$;
CREATE TRIGGER history_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON config.history
    FOR EACH STATEMENT EXECUTE FUNCTION config.append_only();

-- The whole accepted configuration of a version, encrypted; encrypted again when keys rotate.
CREATE TABLE config.states (
    version bigint PRIMARY KEY,
    sealed bytea NOT NULL
);

-- How far encrypting again has come, so that it can go on after a stop.
CREATE TABLE config.renewals (
    target text NOT NULL,
    key_id text NOT NULL,
    after text NOT NULL,
    done bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (target, key_id)
);
