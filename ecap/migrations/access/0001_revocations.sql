CREATE SCHEMA IF NOT EXISTS access;

-- Whose access has ended before its tokens expire. Written by auth in the transaction that ends
-- it, read by the edge of every replica; a row goes when no token that it ends can be valid.
CREATE TABLE access.revocations (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text,                                   -- all tokens of an account below `epoch`
    epoch bigint,
    session_id text,                                -- or all tokens of a session
    until timestamptz NOT NULL,                     -- its last token has expired by then
    CHECK ((subject IS NULL) <> (session_id IS NULL) AND (subject IS NULL) = (epoch IS NULL))
);
CREATE INDEX revocations_until ON access.revocations (until);
