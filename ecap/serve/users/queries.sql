-- name: profile
SELECT user_id, email, display_name, phone, locale, version, registered_at, updated_at
FROM users.profiles
WHERE user_id = $1;

-- name: create_profile
-- The same row as the stream makes of user.registered; whoever is first.
INSERT INTO users.profiles (user_id, email, display_name, registered_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id) DO NOTHING;

-- name: change_profile
-- NULL leaves a column as it is; $5 is the version the caller saw.
UPDATE users.profiles
SET display_name = coalesce($2, display_name),
    phone = coalesce($3, phone),
    locale = coalesce($4, locale),
    version = version + 1,
    updated_at = now()
WHERE user_id = $1 AND version = $5
RETURNING user_id, email, display_name, phone, locale, version, registered_at, updated_at;

-- name: lock_profile
-- Changes of one user's addresses come one after another.
SELECT user_id FROM users.profiles WHERE user_id = $1 FOR UPDATE;

-- name: addresses
SELECT id, label, recipient, line1, line2, city, region, postal_code, country, is_default,
       version, created_at, updated_at
FROM users.addresses
WHERE user_id = $1
ORDER BY created_at, id;

-- name: address
SELECT id, label, recipient, line1, line2, city, region, postal_code, country, is_default,
       version, created_at, updated_at
FROM users.addresses
WHERE user_id = $1 AND id = $2;

-- name: count_addresses
SELECT count(*)::int FROM users.addresses WHERE user_id = $1;

-- name: clear_default
UPDATE users.addresses
SET is_default = false, version = version + 1, updated_at = now()
WHERE user_id = $1 AND is_default AND id <> $2;

-- name: add_address
INSERT INTO users.addresses (id, user_id, label, recipient, line1, line2, city, region,
                             postal_code, country, is_default)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
RETURNING id, label, recipient, line1, line2, city, region, postal_code, country, is_default,
          version, created_at, updated_at;

-- name: change_address
-- NULL leaves a column as it is; $12 is the version the caller saw.
UPDATE users.addresses
SET label = coalesce($3, label),
    recipient = coalesce($4, recipient),
    line1 = coalesce($5, line1),
    line2 = coalesce($6, line2),
    city = coalesce($7, city),
    region = coalesce($8, region),
    postal_code = coalesce($9, postal_code),
    country = coalesce($10, country),
    is_default = coalesce($11, is_default),
    version = version + 1,
    updated_at = now()
WHERE user_id = $1 AND id = $2 AND version = $12
RETURNING id, label, recipient, line1, line2, city, region, postal_code, country, is_default,
          version, created_at, updated_at;

-- name: delete_address
DELETE FROM users.addresses WHERE user_id = $1 AND id = $2 RETURNING id;
