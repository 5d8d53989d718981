-- `ecap.clients.sealing` has sealed every row just before, in this transaction.
ALTER TABLE orders.orders DROP COLUMN shipping;
-- Kept answers are completed from the order when they are given again.
UPDATE orders.idempotency
SET body = convert_to((convert_from(body, 'UTF8')::jsonb - 'shipping')::text, 'UTF8')
WHERE position('"shipping"'::bytea IN body) > 0;
-- A dropped column stays in the file until its rows are written again.
CLUSTER orders.orders USING orders_pkey;
CLUSTER orders.idempotency USING idempotency_pkey;
