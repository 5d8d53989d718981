CREATE SCHEMA IF NOT EXISTS users;

-- Created by the users stream from user.registered; changed by the service.
CREATE TABLE users.profiles (
    user_id uuid PRIMARY KEY,
    email text NOT NULL,
    display_name text NOT NULL,
    phone text NOT NULL DEFAULT '',
    locale text NOT NULL DEFAULT 'en',
    version bigint NOT NULL DEFAULT 1,              -- for ETag / If-Match
    registered_at timestamptz NOT NULL,             -- occurred_at of user.registered
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users.addresses (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users.profiles (user_id) ON DELETE CASCADE,
    label text NOT NULL DEFAULT '',
    recipient text NOT NULL,
    line1 text NOT NULL,
    line2 text NOT NULL DEFAULT '',
    city text NOT NULL,
    region text NOT NULL DEFAULT '',
    postal_code text NOT NULL,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),   -- ISO 3166-1 alpha-2
    is_default boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
-- Pages oldest first: cursor (created_at, id).
CREATE INDEX addresses_user ON users.addresses (user_id, created_at, id);
CREATE UNIQUE INDEX addresses_one_default ON users.addresses (user_id) WHERE is_default;
