-- name: decision
SELECT transaction_id, user_id, decision, score, reasons, amount, currency, scored_live, late,
       occurred_at, decided_at, outcome, outcome_at
FROM fraud.decisions
WHERE transaction_id = $1;

-- name: decisions
-- Of one user, newest first; $3/$4 are the last row of the page before.
SELECT transaction_id, user_id, decision, score, reasons, amount, currency, scored_live, late,
       occurred_at, decided_at, outcome, outcome_at
FROM fraud.decisions
WHERE user_id = $1
  AND ($2::text IS NULL OR decision = $2)
  AND ($3::timestamptz IS NULL OR (occurred_at, transaction_id) < ($3, $4::uuid))
ORDER BY occurred_at DESC, transaction_id DESC
LIMIT $5;

-- name: alert
SELECT id, transaction_id, user_id, decision, score, reasons, amount, currency, status,
       status_by, status_at, note, version, occurred_at
FROM fraud.alerts
WHERE id = $1;

-- name: alerts
-- Newest first; $3/$4 are the last row of the page before.
SELECT id, transaction_id, user_id, decision, score, reasons, amount, currency, status,
       status_by, status_at, note, version, occurred_at
FROM fraud.alerts
WHERE ($1::text IS NULL OR status = $1)
  AND ($2::uuid IS NULL OR user_id = $2)
  AND ($3::timestamptz IS NULL OR (occurred_at, id) < ($3, $4::uuid))
ORDER BY occurred_at DESC, id DESC
LIMIT $5;

-- name: change_alert
-- $5 is the version the caller saw; what is closed stays closed.
UPDATE fraud.alerts
SET status = $2, note = coalesce($3, note), status_by = $4, status_at = now(),
    version = version + 1
WHERE id = $1 AND version = $5 AND status <> 'closed'
RETURNING id, transaction_id, user_id, decision, score, reasons, amount, currency, status,
          status_by, status_at, note, version, occurred_at;
