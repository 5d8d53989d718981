-- name: revenue
SELECT date_trunc($3, minute, 'UTC') AS at, category, outcome,
       sum(units)::bigint AS units, sum(amount) AS amount
FROM analytics.revenue_minute
WHERE minute >= $1 AND minute < $2
  AND ($4::text IS NULL OR category = $4)
  AND ($5::text IS NULL OR outcome = $5)
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;

-- name: orders
SELECT date_trunc($3, minute, 'UTC') AS at, outcome,
       sum(orders)::bigint AS orders, sum(amount) AS amount
FROM analytics.orders_minute
WHERE minute >= $1 AND minute < $2
  AND ($4::text IS NULL OR outcome = $4)
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: top_products
-- Names may be missing: the product's own event can come later than its sale.
SELECT t.product_id, p.sku, p.name, p.category, t.units, t.amount, t.views
FROM (
    SELECT product_id, sum(units)::bigint AS units, sum(amount) AS amount,
           sum(views)::bigint AS views
    FROM analytics.product_hour
    WHERE hour >= date_trunc('hour', $1::timestamptz, 'UTC') AND hour < $2
    GROUP BY product_id
) t
LEFT JOIN analytics.products p USING (product_id)
WHERE t.units > 0
ORDER BY CASE $3::text WHEN 'units' THEN t.units::numeric ELSE t.amount END DESC, t.product_id
LIMIT $4;

-- name: outcomes
SELECT outcome, sum(orders)::bigint AS orders, sum(amount) AS amount
FROM analytics.orders_minute
WHERE minute >= $1 AND minute < $2
GROUP BY outcome
ORDER BY outcome;

-- name: activity
SELECT kind, sum(events)::bigint AS events
FROM analytics.activity_hour
WHERE hour >= date_trunc('hour', $1::timestamptz, 'UTC') AND hour < $2
GROUP BY kind;

-- name: late
SELECT coalesce(sum(events), 0)::bigint
FROM analytics.late_hour
WHERE hour >= date_trunc('hour', $1::timestamptz, 'UTC') AND hour < $2;

-- name: revision
-- Of what is committed; the sequence itself runs ahead of it.
SELECT greatest((SELECT max(revision) FROM analytics.revenue_minute),
                (SELECT max(revision) FROM analytics.orders_minute), 0);

-- name: changes
-- Cells that changed after revision $1, up to $2 where that is given.
(SELECT 'revenue' AS kind, minute, category, outcome, units AS count, amount, revision
 FROM analytics.revenue_minute
 WHERE revision > $1 AND ($2::bigint IS NULL OR revision <= $2)
 ORDER BY revision LIMIT $3)
UNION ALL
(SELECT 'orders', minute, NULL, outcome, orders, amount, revision
 FROM analytics.orders_minute
 WHERE revision > $1 AND ($2::bigint IS NULL OR revision <= $2)
 ORDER BY revision LIMIT $3)
ORDER BY revision LIMIT $3;

-- name: recent
-- The present state of the minutes since $1, as of revision $2.
SELECT 'revenue' AS kind, minute, category, outcome, units AS count, amount, revision
FROM analytics.revenue_minute
WHERE minute >= $1 AND revision <= $2
UNION ALL
SELECT 'orders', minute, NULL, outcome, orders, amount, revision
FROM analytics.orders_minute
WHERE minute >= $1 AND revision <= $2
ORDER BY revision;
