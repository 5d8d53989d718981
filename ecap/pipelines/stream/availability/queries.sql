-- name: move
-- Rows are locked in order of id. A product the catalog does not know is passed over.
WITH moved AS (
    SELECT p.id, u.delta
    FROM catalog.products p
    JOIN unnest($1::uuid[], $2::bigint[]) AS u(id, delta) USING (id)
    ORDER BY p.id
    FOR UPDATE OF p
)
UPDATE catalog.products p
SET stock = least(2147483647, greatest(0, p.stock - p.owed + moved.delta)),
    owed = least(2147483647, greatest(0, p.owed - p.stock - moved.delta))
FROM moved
WHERE p.id = moved.id
