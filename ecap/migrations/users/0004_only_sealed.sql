-- `ecap.clients.sealing` has sealed every row just before, in this transaction.
ALTER TABLE users.profiles
    DROP COLUMN email,
    DROP COLUMN display_name,
    DROP COLUMN phone,
    ALTER COLUMN sealed SET NOT NULL;
ALTER TABLE users.addresses
    DROP COLUMN label,
    DROP COLUMN recipient,
    DROP COLUMN line1,
    DROP COLUMN line2,
    DROP COLUMN city,
    DROP COLUMN region,
    DROP COLUMN postal_code,
    DROP COLUMN country,
    ALTER COLUMN sealed SET NOT NULL;
-- A dropped column stays in the file until its rows are written again.
CLUSTER users.profiles USING profiles_pkey;
CLUSTER users.addresses USING addresses_pkey;
