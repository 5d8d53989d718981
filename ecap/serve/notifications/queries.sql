-- name: of_user
-- Newest first; $3/$4 are the last row of the page before.
SELECT id, user_id, event_id, order_id, kind, channel, subject, payload, status, attempts,
       next_attempt_at, last_error, occurred_at, created_at, delivered_at
FROM notifications.deliveries
WHERE user_id = $1
  AND ($2::text IS NULL OR status = $2)
  AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $5;

-- name: of_all
SELECT id, user_id, event_id, order_id, kind, channel, subject, payload, status, attempts,
       next_attempt_at, last_error, occurred_at, created_at, delivered_at
FROM notifications.deliveries
WHERE ($1::text IS NULL OR status = $1)
  AND ($2::uuid IS NULL OR user_id = $2)
  AND ($3::uuid IS NULL OR order_id = $3)
  AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $6;

-- name: one
SELECT id, user_id, event_id, order_id, kind, channel, subject, payload, status, attempts,
       next_attempt_at, last_error, occurred_at, created_at, delivered_at
FROM notifications.deliveries
WHERE id = $1;

-- name: log
SELECT attempt, worker, started_at, finished_at, outcome, error
FROM notifications.attempts
WHERE delivery_id = $1
ORDER BY attempt;

-- name: resend
-- The worker's limit of attempts is long reached: it gets one more each time.
UPDATE notifications.deliveries
SET status = 'pending', next_attempt_at = now()
WHERE id = $1 AND status = 'failed'
RETURNING id;
