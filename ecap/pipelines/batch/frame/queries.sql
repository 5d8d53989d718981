-- name: lanes
-- What a pipeline has applied of a topic, and where the outbox still begins.
SELECT p.partition, p.start_pos, p.next_pos, coalesce(t.first_pos, 0) AS kept_from
FROM stream.partitions p
LEFT JOIN stream.topic_log t USING (topic, partition)
WHERE p.pipeline = $1 AND p.topic = $2
ORDER BY p.partition

-- name: given_out
-- Everything that has its place, whoever has applied it.
SELECT partition, 0::bigint, next_pos, first_pos FROM stream.topic_log WHERE topic = $1 ORDER BY partition

-- name: set_aside
-- Not applied, or not yet again.
SELECT partition, pos FROM stream.dead_letters
WHERE pipeline = $1 AND topic = $2 AND status <> 'replayed'
ORDER BY partition, pos

-- name: page
SELECT pos, body FROM orders.outbox
WHERE topic = $1 AND partition = $2 AND pos >= $3 AND pos < $4
ORDER BY pos LIMIT $5

-- name: kept_since
-- When the oldest event that is left was written; now, when none is left.
SELECT coalesce(min(created_at), now()) FROM orders.outbox
WHERE topic = $1 AND partition = $2 AND pos = $3
