-- name: append
-- An entry that is there stays as it is.
INSERT INTO audit.entries
    (id, at, source, action, outcome, actor, actor_kind, subject, address, request_id, details)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[],
                     $7::text[], $8::text[], $9::text[], $10::text[], $11::jsonb[])
ON CONFLICT (id) DO NOTHING

-- name: purge
-- In bites: one of a whole year would hold its locks for minutes.
DELETE FROM audit.entries WHERE id IN (
    SELECT id FROM audit.entries WHERE recorded_at < $1 ORDER BY recorded_at LIMIT $2)
