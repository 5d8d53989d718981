-- name: serialize
-- Until commit. Without it a higher revision could become visible before a lower one.
SELECT pg_advisory_xact_lock('analytics.revision'::regclass::bigint)

-- name: add_revenue
INSERT INTO analytics.revenue_minute AS r (minute, category, outcome, units, amount, revision)
SELECT minute, category, outcome, units, amount, nextval('analytics.revision')
FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::bigint[], $5::numeric[])
     AS rows (minute, category, outcome, units, amount)
ON CONFLICT (minute, category, outcome) DO UPDATE
SET units = r.units + excluded.units, amount = r.amount + excluded.amount,
    revision = excluded.revision
RETURNING minute, category, outcome, units, amount

-- name: add_orders
INSERT INTO analytics.orders_minute AS o (minute, outcome, orders, amount, revision)
SELECT minute, outcome, orders, amount, nextval('analytics.revision')
FROM unnest($1::timestamptz[], $2::text[], $3::bigint[], $4::numeric[])
     AS rows (minute, outcome, orders, amount)
ON CONFLICT (minute, outcome) DO UPDATE
SET orders = o.orders + excluded.orders, amount = o.amount + excluded.amount,
    revision = excluded.revision

-- name: add_products
INSERT INTO analytics.product_hour AS p (hour, product_id, units, amount, views, revision)
SELECT hour, product_id, units, amount, views, nextval('analytics.revision')
FROM unnest($1::timestamptz[], $2::uuid[], $3::bigint[], $4::numeric[], $5::bigint[])
     AS rows (hour, product_id, units, amount, views)
ON CONFLICT (hour, product_id) DO UPDATE
SET units = p.units + excluded.units, amount = p.amount + excluded.amount,
    views = p.views + excluded.views, revision = excluded.revision

-- name: add_activity
INSERT INTO analytics.activity_hour AS a (hour, kind, events, revision)
SELECT hour, kind, events, nextval('analytics.revision')
FROM unnest($1::timestamptz[], $2::text[], $3::bigint[]) AS rows (hour, kind, events)
ON CONFLICT (hour, kind) DO UPDATE
SET events = a.events + excluded.events, revision = excluded.revision

-- name: add_late
INSERT INTO analytics.late_hour AS l (hour, topic, events, revision)
SELECT hour, topic, events, nextval('analytics.revision')
FROM unnest($1::timestamptz[], $2::text[], $3::bigint[]) AS rows (hour, topic, events)
ON CONFLICT (hour, topic) DO UPDATE
SET events = l.events + excluded.events, revision = excluded.revision

-- name: name_products
INSERT INTO analytics.products AS p (product_id, sku, name, category, active, updated_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::boolean[],
                     $6::timestamptz[])
ON CONFLICT (product_id) DO UPDATE
SET sku = excluded.sku, name = excluded.name, category = excluded.category,
    active = excluded.active, updated_at = excluded.updated_at
