-- Who somebody is and where they live, under the keyring.
ALTER TABLE users.profiles ADD COLUMN sealed bytea;     -- e-mail, display name, phone
ALTER TABLE users.addresses ADD COLUMN sealed bytea;    -- all of it
