-- name: answer
-- What a key was answered before.
SELECT i.fingerprint, i.status, i.headers, i.body, o.sealed
FROM orders.idempotency i
LEFT JOIN orders.orders o ON o.id = $3
WHERE i.user_id = $1 AND i.key = $2;

-- name: lock
-- Held until the transaction ends; false while another request with this key runs.
SELECT pg_try_advisory_xact_lock($1);

-- name: keep
INSERT INTO orders.idempotency (user_id, key, fingerprint, status, headers, body)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
RETURNING true;

-- name: forget
-- Keys past their time, some at once; whoever else deletes them too is not waited for.
DELETE FROM orders.idempotency
WHERE (user_id, key) IN (
    SELECT user_id, key FROM orders.idempotency
    WHERE created_at < now() - make_interval(secs => $1)
    LIMIT $2
    FOR UPDATE SKIP LOCKED
);

-- name: items
SELECT product_id, sku, name, category, price, currency, active
FROM orders.items
WHERE product_id = ANY($1);

-- name: reserve
-- Takes the units of every line that has enough, and answers which those were. Rows are
-- locked in order of id, so that two orders of the same products never wait for each other.
WITH wanted AS (
    SELECT i.product_id, u.quantity
    FROM orders.items i
    JOIN unnest($1::uuid[], $2::int[]) AS u(product_id, quantity) USING (product_id)
    ORDER BY i.product_id
    FOR UPDATE OF i
)
UPDATE orders.items i
SET stock = i.stock - wanted.quantity, updated_at = now()
FROM wanted
WHERE i.product_id = wanted.product_id AND i.stock >= wanted.quantity
RETURNING i.product_id;

-- name: stock
SELECT product_id, stock FROM orders.items WHERE product_id = ANY($1);

-- name: put_back
-- Units somebody no longer wants; what is owed is paid first.
WITH returned AS (
    SELECT i.product_id, l.quantity
    FROM orders.items i
    JOIN orders.lines l USING (product_id)
    WHERE l.order_id = $1
    ORDER BY i.product_id
    FOR UPDATE OF i
)
UPDATE orders.items i
SET stock = greatest(0, i.stock - i.owed + returned.quantity),
    owed = greatest(0, i.owed - i.stock - returned.quantity),
    updated_at = now()
FROM returned
WHERE i.product_id = returned.product_id;

-- name: place
-- The order, its lines and the first change of its life.
WITH placed AS (
    INSERT INTO orders.orders (id, user_id, status, amount, currency, decision, score, reasons,
                               sealed, placed_at, changed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
    RETURNING id
), lines AS (
    INSERT INTO orders.lines (order_id, line, product_id, sku, name, category, quantity,
                              unit_price)
    SELECT placed.id, u.line, u.product_id, u.sku, u.name, u.category, u.quantity, u.unit_price
    FROM placed, unnest($11::uuid[], $12::text[], $13::text[], $14::text[], $15::int[],
                        $16::numeric[])
        WITH ORDINALITY AS u(product_id, sku, name, category, quantity, unit_price, line)
)
INSERT INTO orders.history (order_id, version, previous, status, actor, at)
SELECT placed.id, 1, 'pending', $3, 'fraud', $10 FROM placed;

-- name: order
SELECT id, user_id, status, amount, currency, decision, sealed, version, placed_at, changed_at
FROM orders.orders
WHERE id = $1;

-- name: lock_order
SELECT id, user_id, status, amount, currency, decision, sealed, version, placed_at, changed_at
FROM orders.orders
WHERE id = $1
FOR UPDATE;

-- name: lines
SELECT product_id, sku, name, category, quantity, unit_price
FROM orders.lines
WHERE order_id = $1
ORDER BY line;

-- name: history
SELECT version, previous, status, actor, reason, at
FROM orders.history
WHERE order_id = $1
ORDER BY version;

-- name: change
WITH changed AS (
    UPDATE orders.orders
    SET status = $2, version = version + 1, changed_at = $6
    WHERE id = $1
    RETURNING id, version
)
INSERT INTO orders.history (order_id, version, previous, status, actor, reason, at)
SELECT changed.id, changed.version, $3, $2, $4, $5, $6 FROM changed;

-- name: page_of_user
-- Newest first; $3/$4 are the last row of the page before.
SELECT id, user_id, status, amount, currency, version, placed_at, changed_at
FROM orders.orders
WHERE user_id = $1
  AND ($2::text IS NULL OR status = $2)
  AND ($3::timestamptz IS NULL OR (placed_at, id) < ($3, $4::uuid))
ORDER BY placed_at DESC, id DESC
LIMIT $5;

-- name: page_of_all
SELECT id, user_id, status, amount, currency, version, placed_at, changed_at
FROM orders.orders
WHERE ($1::text IS NULL OR status = $1)
  AND ($2::timestamptz IS NULL OR (placed_at, id) < ($2, $3::uuid))
ORDER BY placed_at DESC, id DESC
LIMIT $4;
