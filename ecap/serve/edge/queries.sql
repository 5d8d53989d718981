-- name: revocations
-- What came after $1, or one row without. Where nothing has been numbered that high, the database
-- was restored to an earlier time: all of it.
SELECT n.last_value AS newest, r.seq, r.subject, r.epoch, r.session_id, r.until
FROM access.revocations_seq_seq n
LEFT JOIN access.revocations r ON r.seq > CASE WHEN n.last_value < $1::bigint THEN 0 ELSE $1 END
ORDER BY r.seq
LIMIT $2;

-- name: one_revocation
-- Numbered in the order of their commits: a reader that has seen a number has seen all below.
SELECT pg_advisory_xact_lock($1);

-- name: revoke
INSERT INTO access.revocations (subject, epoch, session_id, until) VALUES ($1, $2, $3, $4);

-- name: forget_revocations
DELETE FROM access.revocations WHERE until <= $1;
