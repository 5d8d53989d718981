-- `ecap.clients.sealing` has sealed every row just before, in this transaction.
DROP INDEX auth.users_email;
ALTER TABLE auth.users
    DROP COLUMN email,
    DROP COLUMN display_name,
    ALTER COLUMN sealed SET NOT NULL,
    ALTER COLUMN email_hash SET NOT NULL;
CREATE UNIQUE INDEX users_email_hash ON auth.users (email_hash);
-- A dropped column stays in the file until its rows are written again.
CLUSTER auth.users USING users_pkey;
CLUSTER auth.outbox USING outbox_pkey;
