-- name: next_entries
SELECT {key}::text AS key, {column} AS token
FROM {table}
WHERE ($1::text IS NULL OR {key} > $1::text::{key_type}) AND {only}
ORDER BY {key}
LIMIT $2

-- name: replace_entry
-- Only what was read: a value written since then is newer than this one.
UPDATE {table} SET {column} = $3 WHERE {key} = $1::text::{key_type} AND {column} = $2

-- name: load_progress
SELECT after FROM config.renewals WHERE target = $1 AND key_id = $2

-- name: save_progress
INSERT INTO config.renewals (target, key_id, after, done) VALUES ($1, $2, $3, $4)
ON CONFLICT (target, key_id) DO UPDATE
SET after = EXCLUDED.after, done = EXCLUDED.done, updated_at = now()

-- name: clear_progress
DELETE FROM config.renewals WHERE target = $1 AND key_id = $2

-- name: registrations_written
SELECT topic, partition, next_pos FROM stream.topic_log WHERE topic = 'accounts'

-- name: registrations_read
SELECT pipeline, topic, partition, next_pos FROM stream.partitions WHERE topic = 'accounts'

-- name: registrations_unplaced
SELECT count(*)::int FROM auth.outbox WHERE pos IS NULL AND topic = 'accounts'
