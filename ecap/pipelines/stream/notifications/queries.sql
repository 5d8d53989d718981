-- name: save_contacts
INSERT INTO notifications.contacts AS c (user_id, sealed, updated_at)
SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::timestamptz[])
ON CONFLICT (user_id) DO UPDATE
SET sealed = excluded.sealed, updated_at = excluded.updated_at

-- name: insert_deliveries
INSERT INTO notifications.deliveries
    (id, event_id, user_id, order_id, kind, channel, subject, payload, occurred_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
                     $7::text[], $8::jsonb[], $9::timestamptz[])
ON CONFLICT (id) DO NOTHING

-- name: claim
-- Also what a dead worker had claimed, once its claim has run out.
WITH due AS (
    SELECT id FROM notifications.deliveries
    WHERE status IN ('pending', 'sending') AND next_attempt_at <= now()
      AND channel = ANY ($4::text[])
    ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE notifications.deliveries d
    SET status = 'sending', attempts = attempts + 1,
        next_attempt_at = now() + make_interval(secs => $2)
    FROM due WHERE d.id = due.id
    RETURNING d.*
), logged AS (
    INSERT INTO notifications.attempts (delivery_id, attempt, worker)
    SELECT id, attempts, $3 FROM claimed
)
SELECT d.id, d.event_id, d.user_id, d.order_id, d.kind, d.channel, d.subject, d.payload,
       d.attempts, d.occurred_at, c.sealed AS contact
FROM claimed d LEFT JOIN notifications.contacts c USING (user_id)

-- name: finish
-- Only the newest attempt may: an older one has lost its claim.
WITH done AS (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::float8[])
        AS rows (id, attempt, outcome, error, delay_s)
), moved AS (
    UPDATE notifications.deliveries d
    SET status = CASE outcome WHEN 'retry' THEN 'pending' ELSE outcome END,
        last_error = error,
        next_attempt_at = now() + make_interval(secs => delay_s),
        delivered_at = CASE outcome WHEN 'delivered' THEN now() END
    FROM done WHERE d.id = done.id AND d.status = 'sending' AND d.attempts = done.attempt
    RETURNING d.id
), logged AS (
    UPDATE notifications.attempts a
    SET finished_at = now(), outcome = done.outcome, error = done.error
    FROM done JOIN moved USING (id) WHERE a.delivery_id = done.id AND a.attempt = done.attempt
)
SELECT id FROM moved
