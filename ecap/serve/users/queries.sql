-- name: profile
SELECT user_id, sealed, locale, version, registered_at, updated_at
FROM users.profiles
WHERE user_id = $1;

-- name: create_profile
-- The same row as the stream makes of user.registered; whoever is first.
INSERT INTO users.profiles (user_id, sealed, registered_at)
VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO NOTHING;

-- name: profile_to_change
SELECT user_id, sealed, locale, version, registered_at, updated_at
FROM users.profiles
WHERE user_id = $1
FOR UPDATE;

-- name: change_profile
UPDATE users.profiles
SET sealed = $2, locale = coalesce($3, locale), version = version + 1, updated_at = now()
WHERE user_id = $1
RETURNING locale, version, updated_at;

-- name: lock_profile
-- Changes of one user's addresses come one after another.
SELECT user_id FROM users.profiles WHERE user_id = $1 FOR UPDATE;

-- name: addresses
SELECT id, sealed, is_default, version, created_at, updated_at
FROM users.addresses
WHERE user_id = $1
ORDER BY created_at, id;

-- name: address
SELECT id, sealed, is_default, version, created_at, updated_at
FROM users.addresses
WHERE user_id = $1 AND id = $2;

-- name: count_addresses
SELECT count(*)::int FROM users.addresses WHERE user_id = $1;

-- name: clear_default
UPDATE users.addresses
SET is_default = false, version = version + 1, updated_at = now()
WHERE user_id = $1 AND is_default AND id <> $2;

-- name: add_address
INSERT INTO users.addresses (id, user_id, sealed, is_default)
VALUES ($1, $2, $3, $4)
RETURNING id, sealed, is_default, version, created_at, updated_at;

-- name: change_address
UPDATE users.addresses
SET sealed = $2, is_default = coalesce($3, is_default), version = version + 1, updated_at = now()
WHERE id = $1
RETURNING id, sealed, is_default, version, created_at, updated_at;

-- name: delete_address
DELETE FROM users.addresses WHERE user_id = $1 AND id = $2 RETURNING id;
