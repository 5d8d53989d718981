-- {schema} is one of ecap.clients.outbox.SCHEMAS, a constant of the program.

-- name: unplaced_exist
SELECT EXISTS (SELECT 1 FROM {schema}.outbox WHERE pos IS NULL)

-- name: unplaced_count
SELECT count(*) FROM {schema}.outbox WHERE pos IS NULL

-- name: unplaced
SELECT seq, topic, key, body FROM {schema}.outbox
WHERE pos IS NULL AND topic = ANY($1)
ORDER BY seq LIMIT $2

-- name: place
UPDATE {schema}.outbox o SET partition = u.partition, pos = u.pos
FROM unnest($1::bigint[], $2::int[], $3::bigint[]) AS u(seq, partition, pos)
WHERE o.seq = u.seq

-- name: backlog
SELECT pos, key, body FROM {schema}.outbox
WHERE topic = $1 AND partition = $2 AND pos >= $3
ORDER BY pos LIMIT $4

-- name: oldest
SELECT pos, created_at FROM {schema}.outbox
WHERE topic = $1 AND partition = $2 AND pos >= $3 AND pos < $4
ORDER BY pos LIMIT $5

-- name: purge
DELETE FROM {schema}.outbox WHERE topic = $1 AND partition = $2 AND pos >= $3 AND pos < $4
