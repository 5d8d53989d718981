-- E-mail and display name, under the keyring; found by a keyed hash of the e-mail.
ALTER TABLE auth.users
    ADD COLUMN sealed bytea,
    ADD COLUMN email_hash bytea;                    -- HMAC-SHA256 of the e-mail in lower case

-- The key of that hash, under the keyring; it never changes.
CREATE TABLE auth.lookup_keys (
    name text PRIMARY KEY,
    sealed bytea NOT NULL
);

-- Signing keys move under the keyring of everything. What the keyring of their own
-- wrapped is forgotten; its public half is published until its last token has expired.
ALTER TABLE auth.signing_keys ALTER COLUMN wrapped DROP NOT NULL;
UPDATE auth.signing_keys SET wrapped = NULL;
