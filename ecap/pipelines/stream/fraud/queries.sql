-- name: insert_decisions
-- Only when COPY met an id that is already there.
INSERT INTO fraud.decisions (transaction_id, user_id, decision, score, reasons, amount,
                             currency, scored_live, late, occurred_at)
SELECT id, user_id, decision, score, string_to_array(reasons, ' '), amount,
       currency, scored_live, late, occurred_at
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::smallint[], $5::text[], $6::numeric[],
            $7::text[], $8::boolean[], $9::boolean[], $10::timestamptz[])
     AS rows (id, user_id, decision, score, reasons, amount,
              currency, scored_live, late, occurred_at)
ON CONFLICT (transaction_id) DO NOTHING

-- name: insert_alerts
INSERT INTO fraud.alerts (id, transaction_id, user_id, decision, score, reasons, amount,
                          currency, occurred_at)
SELECT id, transaction_id, user_id, decision, score, string_to_array(reasons, ' '), amount,
       currency, occurred_at
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::smallint[], $6::text[],
            $7::numeric[], $8::text[], $9::timestamptz[])
     AS rows (id, transaction_id, user_id, decision, score, reasons, amount,
              currency, occurred_at)
ON CONFLICT DO NOTHING
RETURNING transaction_id

-- name: record_outcomes
-- What became of the orders; an open alert about them needs nobody any more.
WITH ended AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS rows (id, outcome, at)
), closed AS (
    UPDATE fraud.alerts a
    SET status = 'closed', status_by = 'order', status_at = now(), version = version + 1
    FROM ended WHERE a.transaction_id = ended.id AND a.status <> 'closed'
)
UPDATE fraud.decisions d SET outcome = ended.outcome, outcome_at = ended.at
FROM ended WHERE d.transaction_id = ended.id
