-- ---- the topic log: what the relay gave out, sent, and is asked to send again

-- name: add_lanes
INSERT INTO stream.topic_log (topic, partition)
SELECT * FROM unnest($1::text[], $2::int[]) ON CONFLICT DO NOTHING

-- name: lock_lanes
SELECT topic, partition, first_pos, next_pos, sent_pos, kafka_offset FROM stream.topic_log
WHERE topic = ANY($1) ORDER BY topic, partition FOR UPDATE

-- name: lanes
SELECT topic, partition, first_pos, next_pos, sent_pos, kafka_offset FROM stream.topic_log
WHERE topic = ANY($1) ORDER BY topic, partition

-- name: give_out
UPDATE stream.topic_log t SET next_pos = u.next_pos
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS u(topic, partition, next_pos)
WHERE t.topic = u.topic AND t.partition = u.partition

-- name: sent
-- Compared with what we knew: a refill that was ordered meanwhile is not undone.
UPDATE stream.topic_log SET sent_pos = $4, kafka_offset = $5
WHERE topic = $1 AND partition = $2 AND sent_pos = $3

-- name: behind
SELECT array_agg(DISTINCT topic) FROM stream.topic_log WHERE sent_pos < next_pos

-- name: refill_requests
SELECT topic, partition, refill_from FROM stream.topic_log WHERE refill_from IS NOT NULL

-- name: needed
-- What some consumer may still have to read again, per partition.
SELECT p.topic, p.partition, min(coalesce(s.pos, p.start_pos)) AS pos
FROM stream.partitions p
LEFT JOIN stream.snapshots s USING (pipeline, topic, partition)
GROUP BY p.topic, p.partition

-- name: refill
UPDATE stream.topic_log t
SET sent_pos = LEAST(t.sent_pos, greatest($3, t.first_pos)), kafka_offset = NULL, refill_from = NULL
FROM (SELECT sent_pos FROM stream.topic_log WHERE topic = $1 AND partition = $2 FOR UPDATE) old
WHERE t.topic = $1 AND t.partition = $2
RETURNING old.sent_pos - t.sent_pos AS events

-- name: purged
UPDATE stream.topic_log SET first_pos = greatest(first_pos, $3) WHERE topic = $1 AND partition = $2
