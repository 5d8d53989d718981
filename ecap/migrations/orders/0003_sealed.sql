ALTER TABLE orders.orders ADD COLUMN sealed bytea;      -- where it is sent, under the keyring
