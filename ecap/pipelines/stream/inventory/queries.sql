-- name: upsert
-- The catalog says what a product is; its stock only ever moves by differences. What
-- is lost beyond the stock is owed, so that units sold twice are never sold thrice.
INSERT INTO orders.items AS i (product_id, sku, name, category, price, currency, active,
                               stock, owed)
VALUES ($1, $2, $3, $4, $5, $6, $7, greatest(0, $8::int), greatest(0, -$8::int))
ON CONFLICT (product_id) DO UPDATE
SET sku = excluded.sku, name = excluded.name, category = excluded.category,
    price = excluded.price, currency = excluded.currency, active = excluded.active,
    stock = least(2147483647, greatest(0, i.stock::bigint - i.owed + $8)),
    owed = least(2147483647, greatest(0, i.owed::bigint - i.stock - $8)),
    updated_at = now()
