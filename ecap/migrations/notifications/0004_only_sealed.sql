-- `ecap.clients.sealing` has sealed every row just before, in this transaction.
ALTER TABLE notifications.contacts
    DROP COLUMN email,
    DROP COLUMN display_name,
    ALTER COLUMN sealed SET NOT NULL;
-- A dropped column stays in the file until its rows are written again.
CLUSTER notifications.contacts USING contacts_pkey;
