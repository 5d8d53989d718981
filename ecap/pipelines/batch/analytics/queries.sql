-- name: revenue_cells
SELECT minute, category, outcome, units, amount FROM analytics.revenue_minute
WHERE minute >= $1 AND minute < $2

-- name: orders_cells
SELECT minute, outcome, orders, amount FROM analytics.orders_minute
WHERE minute >= $1 AND minute < $2
