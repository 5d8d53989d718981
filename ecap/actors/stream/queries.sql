-- ---- members and leases

-- name: join
INSERT INTO stream.members (pipeline, member, expires_at)
VALUES ($1, $2, now() + make_interval(secs => $3))
ON CONFLICT (pipeline, member) DO UPDATE
SET incarnation = stream.members.incarnation + 1, expires_at = excluded.expires_at
RETURNING incarnation

-- name: heartbeat
UPDATE stream.members SET expires_at = now() + make_interval(secs => $4)
WHERE pipeline = $1 AND member = $2 AND incarnation = $3

-- name: leave
UPDATE stream.members SET expires_at = now()
WHERE pipeline = $1 AND member = $2 AND incarnation = $3

-- name: members_alive
SELECT count(*) FROM stream.members WHERE pipeline = $1 AND expires_at > now()

-- name: add_partitions
INSERT INTO stream.partitions (pipeline, topic, partition, start_pos, next_pos)
SELECT $1, u.topic, u.partition, coalesce(t.first_pos, 0), coalesce(t.first_pos, 0)
FROM unnest($2::text[], $3::int[]) AS u(topic, partition)
LEFT JOIN stream.topic_log t USING (topic, partition)
ON CONFLICT DO NOTHING

-- name: partitions
SELECT p.topic, p.partition, p.owner, p.epoch, p.next_pos,
       coalesce(t.next_pos, 0) AS log_pos, coalesce(t.sent_pos, 0) AS sent_pos,
       (p.owner IS NULL OR m.member IS NULL) AS free
FROM stream.partitions p
LEFT JOIN stream.topic_log t USING (topic, partition)
LEFT JOIN stream.members m
    ON m.pipeline = p.pipeline AND m.member = p.owner AND m.expires_at > now()
WHERE p.pipeline = $1 AND p.topic = ANY($2)
ORDER BY p.partition, p.topic

-- name: take
-- Never waits for a commit that is under way: what is locked is tried again later.
WITH free AS (
    SELECT p.pipeline, p.topic, p.partition FROM stream.partitions p
    WHERE p.pipeline = $1 AND p.topic = ANY($3)
      AND (p.owner IS NULL OR (p.owner = $2 AND NOT ((p.topic, p.partition) = ANY(
              SELECT * FROM unnest($4::text[], $5::int[]))))
           OR (p.owner <> $2 AND NOT EXISTS (
              SELECT 1 FROM stream.members m
              WHERE m.pipeline = p.pipeline AND m.member = p.owner AND m.expires_at > now())))
    ORDER BY (p.owner = $2) IS TRUE DESC, p.partition, p.topic
    LIMIT $6
    FOR UPDATE SKIP LOCKED
)
UPDATE stream.partitions p SET owner = $2, epoch = p.epoch + 1
FROM free
WHERE p.pipeline = free.pipeline AND p.topic = free.topic AND p.partition = free.partition
RETURNING p.topic, p.partition, p.epoch, p.start_pos, p.next_pos, p.kafka_offset

-- name: release
UPDATE stream.partitions p SET owner = NULL, epoch = p.epoch + 1
FROM unnest($3::text[], $4::int[], $5::bigint[]) AS u(topic, partition, epoch)
WHERE p.pipeline = $1 AND p.owner = $2
  AND p.topic = u.topic AND p.partition = u.partition AND p.epoch = u.epoch

-- name: owners
SELECT topic, partition, owner FROM stream.partitions WHERE pipeline = $1

-- ---- the fenced transaction

-- name: move
UPDATE stream.partitions p
SET next_pos = u.to_pos, kafka_offset = u.kafka_offset, moved_at = now()
FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
    AS u(topic, partition, epoch, from_pos, to_pos, kafka_offset)
WHERE p.pipeline = $1 AND p.owner = $2
  AND p.topic = u.topic AND p.partition = u.partition
  AND p.epoch = u.epoch AND p.next_pos = u.from_pos

-- name: where
SELECT count(*) FROM stream.partitions p
JOIN unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[])
    AS u(topic, partition, epoch, pos) USING (topic, partition)
WHERE p.pipeline = $1 AND p.owner = $2 AND p.epoch = u.epoch AND p.next_pos = u.pos

-- ---- snapshots

-- name: save_snapshot
INSERT INTO stream.snapshots (pipeline, topic, partition, pos, kafka_offset, body)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (pipeline, topic, partition) DO UPDATE
SET pos = excluded.pos, kafka_offset = excluded.kafka_offset, body = excluded.body, taken_at = now()

-- name: load_snapshot
SELECT pos, kafka_offset, body FROM stream.snapshots
WHERE pipeline = $1 AND topic = $2 AND partition = $3

-- ---- dead letters

-- name: bury
INSERT INTO stream.dead_letters
    (id, pipeline, topic, partition, pos, kafka_offset, reason, detail, key, body)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::bigint[],
                     $7::text[], $8::text[], $9::text[], $10::bytea[])

-- name: buried
SELECT pos FROM stream.dead_letters
WHERE pipeline = $1 AND topic = $2 AND partition = $3 AND pos >= $4

-- name: requested
SELECT id, topic, partition, pos, body FROM stream.dead_letters
WHERE status = 'requested' AND pipeline = $1
  AND (topic, partition) = ANY(SELECT * FROM unnest($2::text[], $3::int[]))
ORDER BY topic, partition, pos LIMIT $4

-- name: replayed
UPDATE stream.dead_letters
SET status = 'replayed', attempts = attempts + 1, changed_at = now()
WHERE id = ANY($1) AND status = 'requested'

-- name: replayed_count
SELECT count(*) FROM stream.dead_letters WHERE id = ANY($1) AND status = 'replayed'

-- name: reopen
UPDATE stream.dead_letters
SET status = 'open', attempts = attempts + 1, reason = $2, detail = $3, changed_at = now()
WHERE id = $1 AND status = 'requested'

-- name: letters
SELECT id, pipeline, topic, partition, pos, reason, detail, key, status, attempts,
       created_at, changed_at
FROM stream.dead_letters
WHERE ($1::text IS NULL OR pipeline = $1)
  AND ($2::text IS NULL OR topic = $2)
  AND ($3::text IS NULL OR status = $3)
ORDER BY created_at DESC, topic, partition, pos DESC LIMIT $4

-- name: letter
SELECT * FROM stream.dead_letters WHERE id = $1

-- name: request_replay
UPDATE stream.dead_letters SET status = 'requested', changed_at = now()
WHERE status = 'open' AND ($1::uuid[] IS NULL OR id = ANY($1))
  AND ($2::text IS NULL OR pipeline = $2)
RETURNING id

-- ---- a partition whose events are no longer in the broker

-- name: request_refill
UPDATE stream.topic_log SET refill_from = LEAST(coalesce(refill_from, $3), $3)
WHERE topic = $1 AND partition = $2
