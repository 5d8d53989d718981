-- name: page
-- Newest first; $7/$8 are the last row of the page before.
SELECT id, at, source, action, outcome, actor, actor_kind, subject, address, request_id, details
FROM audit.entries
WHERE ($1::text IS NULL OR actor = $1)
  AND ($2::text IS NULL OR subject = $2)
  AND ($3::text IS NULL OR action = $3)
  AND ($4::text IS NULL OR outcome = $4)
  AND ($5::timestamptz IS NULL OR at >= $5)
  AND ($6::timestamptz IS NULL OR at < $6)
  AND ($7::timestamptz IS NULL OR (at, id) < ($7, $8::uuid))
ORDER BY at DESC, id DESC
LIMIT $9;
