-- name: categories
-- Categories with the number of products on sale in each.
SELECT c.slug, c.name, count(p.id)::int AS products
FROM catalog.categories c
LEFT JOIN catalog.products p ON p.category = c.slug AND p.active
GROUP BY c.slug, c.name
ORDER BY c.name;

-- name: product
SELECT id, sku, name, description, category, price, currency, stock, active, version, updated_at
FROM catalog.products
WHERE id = $1;

-- name: page
-- By name; $2/$3 are the last row of the page before.
SELECT id, sku, name, description, category, price, currency, stock, active, version, updated_at
FROM catalog.products
WHERE active
  AND ($1::text IS NULL OR category = $1)
  AND ($2::text IS NULL OR (name, id) > ($2, $3::uuid))
ORDER BY name, id
LIMIT $4;

-- name: search
-- By rank; rank is rounded so that a cursor can name it exactly.
WITH hits AS (
    SELECT *, round(ts_rank(search, query)::numeric, 6) AS rank
    FROM catalog.products, websearch_to_tsquery('english', $1) AS query
    WHERE active AND search @@ query AND ($2::text IS NULL OR category = $2)
)
SELECT id, sku, name, description, category, price, currency, stock, active, version, updated_at,
       rank
FROM hits
WHERE $3::numeric IS NULL OR (-rank, id) > (-$3::numeric, $4::uuid)
ORDER BY -rank, id
LIMIT $5;

-- name: add
INSERT INTO catalog.products (id, sku, name, description, category, price, currency, stock)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING id, sku, name, description, category, price, currency, stock, active, version, updated_at;

-- name: change
-- NULL leaves a column as it is; $7 is the version the caller saw.
UPDATE catalog.products
SET name = coalesce($2, name),
    description = coalesce($3, description),
    category = coalesce($4, category),
    price = coalesce($5, price),
    active = coalesce($6, active),
    version = version + 1,
    updated_at = now()
WHERE id = $1 AND version = $7
RETURNING id, sku, name, description, category, price, currency, stock, active, version, updated_at;

-- name: restock
-- What is lost beyond the stock is owed; see migration 0003.
UPDATE catalog.products
SET stock = greatest(0, stock - owed + $2), owed = greatest(0, owed - stock - $2),
    version = version + 1, updated_at = now()
WHERE id = $1 AND abs(stock::bigint - owed + $2) <= 2000000000
RETURNING id, sku, name, description, category, price, currency, stock, active, version, updated_at;

-- name: add_categories
INSERT INTO catalog.categories (slug, name)
SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT DO NOTHING;

-- name: skus
SELECT sku FROM catalog.products;
