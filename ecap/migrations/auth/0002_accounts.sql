CREATE TABLE auth.users (
    id uuid PRIMARY KEY,
    -- E-mail (as it was typed; ASCII) and display name, under the keyring.
    sealed bytea NOT NULL,
    email_hash bytea NOT NULL UNIQUE,               -- HMAC-SHA256 of the e-mail in lower case
    password_hash text NOT NULL,                    -- argon2id, with its parameters
    roles text[] NOT NULL DEFAULT '{customer}'
        CHECK (roles <@ '{customer,analyst,operator,admin}'::text[]),
    version bigint NOT NULL DEFAULT 1,              -- for ETag / If-Match
    created_at timestamptz NOT NULL,                -- occurred_at of user.registered
    disabled_at timestamptz
);
-- Pages oldest first: cursor (created_at, id).
CREATE INDEX users_page ON auth.users (created_at, id);

-- The key of that hash, under the keyring; it never changes.
CREATE TABLE auth.lookup_keys (
    name text PRIMARY KEY,
    sealed bytea NOT NULL
);

-- One log in and the refresh tokens that descend from it.
CREATE TABLE auth.sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,                -- of its newest token
    revoked_at timestamptz
);
CREATE INDEX sessions_user ON auth.sessions (user_id, expires_at);

-- Tokens are 256 random bits, so that a plain hash is enough; they are kept nowhere.
CREATE TABLE auth.refresh_tokens (
    hash bytea PRIMARY KEY,                         -- SHA-256
    session_id uuid NOT NULL REFERENCES auth.sessions (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at timestamptz                             -- a second use revokes the session
);
CREATE INDEX refresh_tokens_session ON auth.refresh_tokens (session_id, expires_at);

-- A key is in the JWKS from its creation until the last token it signed has expired.
CREATE TABLE auth.signing_keys (
    kid text PRIMARY KEY,
    wrapped bytea NOT NULL,                         -- private JWK under the keyring
    public jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    signs_from timestamptz NOT NULL,
    retires_at timestamptz NOT NULL                 -- signs nothing from then on
);
