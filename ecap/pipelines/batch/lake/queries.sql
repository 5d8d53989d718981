-- name: lock_archive
-- Held until the connection ends.
SELECT pg_try_advisory_lock(hashtextextended('ecap archive ' || $1, 0))
