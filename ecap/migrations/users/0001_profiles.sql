CREATE SCHEMA IF NOT EXISTS users;

-- Created by the users stream from user.registered; changed by the service.
CREATE TABLE users.profiles (
    user_id uuid PRIMARY KEY,
    sealed bytea NOT NULL,                          -- e-mail, display name, phone, under the keyring
    locale text NOT NULL DEFAULT 'en',
    version bigint NOT NULL DEFAULT 1,              -- for ETag / If-Match
    registered_at timestamptz NOT NULL,             -- occurred_at of user.registered
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users.addresses (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users.profiles (user_id) ON DELETE CASCADE,
    sealed bytea NOT NULL,                          -- all of where it is, under the keyring
    is_default boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
-- Pages oldest first: cursor (created_at, id).
CREATE INDEX addresses_user ON users.addresses (user_id, created_at, id);
CREATE UNIQUE INDEX addresses_one_default ON users.addresses (user_id) WHERE is_default;
