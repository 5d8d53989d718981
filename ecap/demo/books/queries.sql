-- Everything is restricted to the people of one run: $1 are their user ids.

-- name: orders
SELECT id, amount, decision FROM orders.orders WHERE user_id = ANY($1)

-- name: categories
SELECT l.category, sum(l.quantity) AS units, sum(l.quantity * l.unit_price) AS amount
FROM orders.lines l JOIN orders.orders o ON o.id = l.order_id
WHERE o.user_id = ANY($1)
GROUP BY l.category

-- name: decisions
SELECT transaction_id, amount, decision FROM fraud.decisions WHERE user_id = ANY($1)

-- name: unscored
-- Orders that went to review because no shard answered in time.
SELECT transaction_id FROM fraud.decisions WHERE user_id = ANY($1) AND NOT scored_live

-- name: alerts
SELECT transaction_id, amount, decision FROM fraud.alerts WHERE user_id = ANY($1)

-- name: notices
-- One row an event and channel; kind tells a new order from a later change.
SELECT event_id, order_id, kind, status, (payload ->> 'amount')::numeric AS amount
FROM notifications.deliveries
WHERE user_id = ANY($1) AND channel = 'email'

-- name: profiles
SELECT user_id FROM users.profiles WHERE user_id = ANY($1)

-- name: orders_minute
SELECT minute, outcome, orders, amount FROM analytics.orders_minute WHERE minute >= $1

-- name: revenue_minute
SELECT minute, category, outcome, units, amount FROM analytics.revenue_minute WHERE minute >= $1

-- name: positions
SELECT partition, next_pos, kafka_offset
FROM stream.partitions WHERE pipeline = $1 AND topic = 'transactions'
ORDER BY partition

-- name: last_written
SELECT coalesce(max(seq), 0) FROM orders.outbox

-- name: unplaced
SELECT count(*) FROM orders.outbox WHERE pos IS NULL AND seq <= $1

-- name: given_out
SELECT partition, next_pos FROM stream.topic_log WHERE topic = 'transactions' ORDER BY partition

-- name: behind
-- Events up to the given positions that a pipeline has not applied yet.
SELECT p.pipeline, sum(greatest(0, target.pos - p.next_pos))::bigint AS events
FROM stream.partitions p
JOIN unnest($1::int[], $2::bigint[]) AS target(partition, pos) USING (partition)
WHERE p.topic = 'transactions'
GROUP BY p.pipeline

-- name: undelivered
SELECT count(*) FROM notifications.deliveries
WHERE user_id = ANY($1) AND status IN ('pending', 'sending')

-- name: outbox
-- Events by the position the relay gave them, whether the broker still has them or not.
SELECT partition, pos, body
FROM orders.outbox
JOIN unnest($1::int[], $2::bigint[]) AS wanted(partition, pos) USING (partition, pos)
WHERE topic = 'transactions'
