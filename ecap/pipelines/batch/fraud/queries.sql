-- name: decided
-- What the stream recorded, and what became of the orders.
SELECT transaction_id, decision, reasons, outcome FROM fraud.decisions
WHERE transaction_id = ANY($1)
